#include "base/budget.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"

using namespace weft;

TEST_CASE("a budget is over where more than all of it is spent, and stays so") {
  Budget budget(10'000);
  CHECK(budget.spend(10'000));
  CHECK_FALSE(budget.over());
  CHECK(budget.spend(0));
  CHECK_FALSE(budget.spend(1));
  CHECK(budget.over());
  CHECK_FALSE(budget.spend(0));
  CHECK(budget.spent() == 10'001);
  CHECK(Budget::caused(budget.error()));
  CHECK_FALSE(Budget::caused(resource_exhausted("another limit").with("limit", "cost_max")));

  Budget endless;
  for (int i = 0; i < 100; ++i) CHECK(endless.spend(std::uint64_t{1} << 40));
  CHECK_FALSE(Budget(0).spend(1));
}

TEST_CASE("a flag stops the work soon") {
  std::atomic<bool> stop = false;
  Budget budget(Budget::kEndless, &stop);
  REQUIRE(budget.spend(Budget::kLookUnits));
  stop = true;
  std::uint64_t more = 0;
  while (budget.spend(1)) ++more;
  CHECK(more <= Budget::kLookUnits);
  stop = false;
  CHECK_FALSE(budget.spend(1));
}

TEST_CASE("what is spent is spent out of the budget around as well, to the last unit") {
  Budget around(20'000);
  {
    Budget within(15'000, nullptr, &around);
    CHECK(within.spend(5'000));
    CHECK(within.spend(7));
  }
  CHECK(around.spent() == 5'007);
  {
    Budget within(10'000, nullptr, &around);
    CHECK_FALSE(within.spend(10'001));
    CHECK_FALSE(around.over());
  }
  Budget last(Budget::kEndless, nullptr, &around);
  std::uint64_t more = 0;
  while (last.spend(1)) ++more;
  CHECK(around.over());
  CHECK(15'008 + more <= 20'000 + Budget::kLookUnits);
}

TEST_CASE("reading JSON is spent out of a budget") {
  std::string text = "[";
  for (int i = 0; i < 5'000; ++i) text += "[],";
  text += "1]";
  Budget enough;
  REQUIRE(parse_untrusted(text, {}, &enough));
  Budget little(enough.spent() - 1);
  auto read = parse_untrusted(text, {}, &little);
  REQUIRE_FALSE(read);
  CHECK(Budget::caused(read.error()));
  Budget less(text.size() - 1);
  read = parse_fenced("```\n" + text + "\n```", &less);
  REQUIRE_FALSE(read);
  CHECK(Budget::caused(read.error()));
}
