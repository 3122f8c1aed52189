#include "runtime/cli/render/terminal.h"

#include <catch2/catch.hpp>

namespace weft::cli {

TEST_CASE("a long text is clipped to whole characters on one line") {
  CHECK(clip("short", 10, true) == "short");
  CHECK(clip("exactly ten", 11, true) == "exactly ten");
  CHECK(clip("exactly ten", 10, true) == "exactly t…");
  CHECK(clip("exactly ten", 10, false) == "exactly...");
  CHECK(clip("äöüäöü", 4, true) == "äöü…");
  CHECK(clip("a\nb\tc", 10, true) == "a b c");
  CHECK(clip(std::string(1'000'000, 'x'), 5, true) == "xxxx…");
  CHECK(clip("😀😀😀", 2, true) == "😀…");
}

TEST_CASE("a clipped text holds nothing that a terminal obeys") {
  CHECK(clip("\x1b[31mred", 40, true).find('\x1b') == std::string::npos);
}

TEST_CASE("colour is only where it is shown") {
  CHECK(paint({true, false, 80}, Colour::kRed, "x") == "x");
  CHECK(paint({true, true, 80}, Colour::kRed, "x") == "\x1b[31mx\x1b[0m");
  CHECK(paint({true, true, 80}, Colour::kPlain, "x") == "x");
}

}  // namespace weft::cli
