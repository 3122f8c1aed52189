// A world with a few tools and models, and short ways to load a text in it.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "workflows/loader.h"

namespace weft::workflows {

inline World small_world() {
  World world;
  world.tools = {
      {"fs.list", R"({"type":"object","properties":{"path":{"type":"string"}},"required":["path"]})", Effect::kRead},
      {"fs.read",
       R"({"type":"object","properties":{"path":{"type":"string"},"lines":{"type":"integer"}},"required":["path"],"additionalProperties":false})",
       Effect::kRead},
      {"fs.search", R"({"type":"object"})", Effect::kRead},
      {"fs.append", R"({"type":"object"})", Effect::kWrite},
      {"refund", R"({"type":"object"})", Effect::kWrite},
      {"a.b", "{}", Effect::kRead},
      {"a__b", "{}", Effect::kRead},
  };
  world.refuse_model = [](const std::string& model) -> std::optional<std::string> {
    if (model == "deepseek-flash" || model == "deepseek-v4-pro") return std::nullopt;
    if (model == "deepseek-chat") return "the model deepseek-chat was retired; its successor is deepseek-flash";
    return "there is no model \"" + model + "\"";
  };
  return world;
}

inline Loaded load_text(const std::string& text, std::vector<BundleFile> files = {}) {
  const Bundle bundle{"test.yaml", text, std::move(files)};
  return load(bundle, small_world());
}

// Puts the two lines in front that every workflow begins with.
inline std::string whole(const std::string& rest) { return "weft: 1\nname: test\n" + rest; }

inline std::shared_ptr<const Workflow> load_good(const std::string& text, std::vector<BundleFile> files = {}) {
  const Loaded loaded = load_text(text, std::move(files));
  for (const Diagnostic& diagnostic : loaded.diagnostics) UNSCOPED_INFO(to_text(diagnostic));
  REQUIRE(loaded.workflow);
  return loaded.workflow;
}

// "LINE:COLUMN CODE" of each diagnostic.
inline std::vector<std::string> faults_of(const std::string& text, std::vector<BundleFile> files = {}) {
  std::vector<std::string> faults;
  for (const Diagnostic& diagnostic : load_text(text, std::move(files)).diagnostics) {
    UNSCOPED_INFO(to_text(diagnostic));
    faults.push_back(std::to_string(diagnostic.mark.line) + ":" + std::to_string(diagnostic.mark.column) + " " +
                     diagnostic.code);
  }
  return faults;
}

using Faults = std::vector<std::string>;

}  // namespace weft::workflows
