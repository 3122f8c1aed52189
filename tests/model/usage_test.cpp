#include "runtime/model/usage.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace weft::model {
namespace {

Usage read(const char* usage, const char* timings = nullptr) {
  const Json u = usage == nullptr ? Json() : *parse_untrusted(usage);
  const Json t = timings == nullptr ? Json() : *parse_untrusted(timings);
  return read_usage(usage == nullptr ? nullptr : &u, timings == nullptr ? nullptr : &t);
}

constexpr std::optional<std::uint64_t> kNone;

TEST_CASE("each server's way to report usage gives the same five disjoint counts") {
  CHECK(read(R"({"prompt_tokens":100,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens":20,
                 "completion_tokens_details":{"reasoning_tokens":15}})") == Usage{64, 36, kNone, 5, 15});
  CHECK(read(R"({"prompt_tokens":2006,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":1920}})") ==
        Usage{1920, 86, kNone, 300, kNone});
  CHECK(read(R"({"prompt_tokens":100,"completion_tokens":1,
                 "prompt_tokens_details":{"cached_tokens":50,"cache_write_tokens":30}})") ==
        Usage{50, 20, 30, 1, kNone});
  CHECK(read(nullptr, R"({"cache_n":9,"prompt_n":1,"predicted_n":4})") == Usage{9, 1, kNone, 4, kNone});
  CHECK(read(R"({"prompt_tokens":10,"completion_tokens":4})", R"({"cache_n":9,"prompt_n":1,"predicted_n":4})") ==
        Usage{9, 1, kNone, 4, kNone});
}

TEST_CASE("what is not reported is absent and not zero") {
  CHECK(read(R"({"prompt_tokens":10,"completion_tokens":4})") == Usage{kNone, 10, kNone, 4, kNone});
  CHECK(read(R"({"prompt_tokens":10,"prompt_tokens_details":null,"completion_tokens":4})") ==
        Usage{kNone, 10, kNone, 4, kNone});
  CHECK(read(R"({"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":0}})") ==
        Usage{0, 10, kNone, kNone, kNone});
  CHECK(read("{}") == Usage{});
  CHECK(read(nullptr) == Usage{});
}

TEST_CASE("where the parts do not add up, the total is believed and the counts stay disjoint") {
  CHECK(read(R"({"prompt_tokens":100,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":64})") ==
        Usage{64, 36, kNone, kNone, kNone});
  CHECK(read(R"({"prompt_tokens":100,"prompt_cache_hit_tokens":164})") == Usage{100, 0, kNone, kNone, kNone});
  CHECK(read(R"({"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":6})") == Usage{64, 6, kNone, kNone, kNone});
  CHECK(read(R"({"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":9}})") ==
        Usage{kNone, kNone, kNone, 5, 9});
}

TEST_CASE("counts that cannot be are not counts") {
  CHECK(read(R"({"prompt_tokens":-1,"completion_tokens":1e30})") == Usage{});
  CHECK(read(R"({"prompt_tokens":"10","completion_tokens":99999999999999})") == Usage{});
  CHECK(read(R"({"prompt_tokens":10.0})") == Usage{kNone, 10, kNone, kNone, kNone});
  CHECK(read("[]") == Usage{});
}

}  // namespace
}  // namespace weft::model
