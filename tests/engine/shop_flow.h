// Workflows with tools that call a shop.
#pragma once

#include <string>

#include "tests/shop.h"

namespace weft::engine::testing {

using test::Shop;

// The workflow `tools` with these tools and steps.
inline std::string flow(const Shop& shop, const std::string& tools, const std::string& steps,
                        const std::string& input = "{}") {
  std::string text = "weft: 1\nname: tools\ninput: " + input + "\ntools:\n" + tools + "steps:\n" + steps;
  for (std::size_t at = text.find("SHOP/"); at != std::string::npos; at = text.find("SHOP/")) {
    text.replace(at, 4, shop.url());
  }
  return text;
}

}  // namespace weft::engine::testing
