#include "base/secret_mask.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/base/writings.h"

namespace weft {
namespace {

using test::dumped;
using test::writings;

// What an escape, an alphabet or a separator of any kind may stand beside.
const std::vector<std::string> kValues = {
    "sk-proj-Abc123XYZ",         "sk/live/abc12345",    "a+b c=d&e/f?g#h%20",   "q\"uote\\back\\\\slash\"",
    "line one\nline two 2\ttab", "pässwörd-日本-🎉-x1", "<tag attr='1'>&amp;",  "0123456789012345678",
    "\\\\\\\\back\\\\\\\\",      "%25%2525%41 percent", "ghp_0000aaaa1111BBBB", "Zm9vYmFyYmF6cXV4"};

SecretMask mask_of(const std::string& value) { return SecretMask({{"KEY", value}}); }

std::string masked(const SecretMask& mask, std::string text) {
  mask.mask(text);
  return text;
}

}  // namespace

TEST_CASE("a secret is found in every usual writing, alone and within a text") {
  for (const std::string& value : kValues) {
    REQUIRE_FALSE(SecretMask::unmaskable(value));
    const SecretMask mask = mask_of(value);
    for (const std::string& writing : writings(value)) {
      CAPTURE(value, writing);
      CHECK(masked(mask, writing).contains("[secret KEY]"));
      const std::string within = masked(mask, "{\"said\": \"Bearer " + writing + "\", \"n\": 1}");
      CHECK(within.starts_with("{\"said\": \"Bearer "));
      CHECK(within.contains("[secret KEY]"));
      CHECK(within.ends_with("\", \"n\": 1}"));
      // Nothing of it is left that says more than the few bits of its first and last byte.
      CHECK(masked(mask, writing).size() <= writing.size() + std::string_view("[secret KEY]").size() - 8);
    }
    CHECK(masked(mask, value) == "[secret KEY]");
    CHECK(masked(mask, dumped(value)) == "[secret KEY]");
    CHECK(masked(mask, value + value) == "[secret KEY][secret KEY]");
  }
}

TEST_CASE("a text without a secret keeps its bytes, also one that nearly holds it") {
  const SecretMask mask = mask_of("sk/live/abc12345");
  for (const std::string text :
       {"", "s", "sk", "sk/live/abc1234", "sk/live/abc12346", "sk\\/live\\/abc1234", "\\", "\\\\\\", "%", "%2", "&",
        "&#", "\\u", "\\u002", "sk%2Flive%2", "SK/LIVE/ABC12345", "k/live/abc12345", "\xFF\xFE\\uD83D"}) {
    CAPTURE(text);
    std::string same = text;
    CHECK_FALSE(mask.mask(same));
    CHECK(same == text);
  }
  CHECK(SecretMask({}).empty());
}

TEST_CASE("a stream gives out what the whole text becomes, wherever it is cut") {
  std::mt19937 random(7);
  for (const std::string& value : kValues) {
    const auto mask =
        std::make_shared<const SecretMask>(std::vector<Secret>{{"KEY", value}, {"LONG", value + "-and-1"}});
    const std::vector<std::string> all = writings(value);
    for (int round = 0; round < 60; ++round) {
      std::string text;
      for (int part = 0; part < 4; ++part) {
        const std::string& writing = all[random() % all.size()];
        // Whole, cut short, or with its like behind it.
        text += writing.substr(0, random() % 3 == 0 ? random() % (writing.size() + 1) : writing.size());
        text += std::vector<std::string>{"", " ", "\\", "-and-1", "%", "&"}[random() % 6];
      }
      const std::string whole = masked(*mask, text);
      SecretMask::Stream stream(mask);
      std::string streamed;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t size = 1 + random() % (round % 2 == 0 ? 3 : 40);
        streamed += stream.feed(std::string_view(text).substr(at, size));
        CHECK_FALSE(streamed.contains(value));
        at += size;
      }
      streamed += stream.finish();
      CAPTURE(value, text);
      CHECK(streamed == whole);
    }
  }
}

TEST_CASE("in JSON every string, name and number is masked, and it stays JSON") {
  const SecretMask mask({{"A", "sk/live/abc12345"}, {"B", "12345678901234567"}});
  std::string body = R"({"you": "Bearer sk\/live\/abc12345", "sk%2Flive/abc12345": [1, {"x": "SK"}],)"
                     R"( "sk/live/abc12345": 12345678901234567, "n": 1234567890123456, "f": 1.5})";
  CHECK(mask.mask_body(body));
  CHECK(body == R"({"you":"Bearer [secret A]","[secret A]":[1,{"x":"SK"}],"[secret A] 2":"[secret B]",)"
                R"("n":1234567890123456,"f":1.5})");
  std::string plain = R"({"you" : 1.50})";
  CHECK_FALSE(mask.mask_body(plain));
  CHECK(plain == R"({"you" : 1.50})");
  std::string twice = R"({"sk\u002flive/abc12345": 1, "sk/live/abc12345": 12345678901234567})";
  CHECK(mask.mask_body(twice));
  CHECK(twice == R"({"[secret A]": 1, "[secret A]": [secret B]})");  // A key twice: no JSON, but text.
  std::string text = "no JSON: sk\\/live\\/abc12345";
  CHECK(mask.mask_body(text));
  CHECK(text == "no JSON: [secret A]");
}

TEST_CASE("at the end of a text that was cut, the beginning of a secret is masked as well") {
  const SecretMask mask = mask_of("sk-proj-Abc123XYZ");
  std::string text = "Incorrect API key provided: sk-proj-Abc";
  CHECK(mask.mask_cut(text));
  CHECK(text == "Incorrect API key provided: [secret KEY]");
  text = "Incorrect API key provided: sk-proj";
  CHECK_FALSE(mask.mask_cut(text));
  text = "Incorrect API key provided: sk-pr***XYZ";
  CHECK_FALSE(mask.mask_cut(text));
}

TEST_CASE("the longest secret that begins at a place is the one that is named") {
  const SecretMask mask({{"SHORT", "token-abc1"}, {"LONG", "token-abc1-and-more"}});
  CHECK(masked(mask, "token-abc1-and-more token-abc1-and") == "[secret LONG] [secret SHORT]-and");
}

TEST_CASE("of secrets that overlap nothing is left") {
  CHECK(masked(mask_of("abc12-abc12"), "is abc12-abc12-abc12.") == "is [secret KEY][secret KEY].");
  const SecretMask mask({{"A", "token-abc1"}, {"B", "abc1-other"}});
  CHECK(masked(mask, "token-abc1-other, token-abc1-o") == "[secret A][secret B], [secret A]-o");
  SecretMask::Stream stream(std::make_shared<const SecretMask>(mask));
  CHECK(stream.feed("token-abc1-oth").empty());
  CHECK(stream.feed("er, token-abc1-o") == "[secret A][secret B], ");
  CHECK(stream.finish() == "[secret A]-o");
}

TEST_CASE("what is short or a mere word is not masked, and it is said why") {
  for (const char* value :
       {"", "true", "abc1234", "password", "PASSWORD", "12345678", "123456789012345", "aaaabbbbcccc", "   abc12 \n"}) {
    CAPTURE(value);
    CHECK(SecretMask::unmaskable(value));
    CHECK(mask_of(value).empty());
  }
  CHECK(SecretMask::unmaskable(std::string(SecretMask::kSecretBytesMax + 1, 'x')));
  for (const char* value : {"abcd1234", "Passwort", "1234567890123456", "correcthorsebattery", " sk-abc12\n"}) {
    CAPTURE(value);
    CHECK_FALSE(SecretMask::unmaskable(value));
  }
  CHECK(masked(mask_of("sk-abc123\n"), "is sk-abc123.") == "is [secret KEY].");
  CHECK(*SecretMask::unmaskable("true") == "it has fewer than 8 bytes");
}

TEST_CASE("texts that are made to be slow are masked in one pass") {
  const std::string lead(8, '\\');
  const SecretMask mask({{"A", lead + "aaaabcdefgh"}, {"B", "aaaaaaaaaaaaaaaaaaaabcdef"}});
  const auto seconds = [&](std::string_view part, std::size_t size) {
    std::string text;
    while (text.size() < size) text += part;
    const auto start = std::chrono::steady_clock::now();
    CHECK_FALSE(mask.mask(text));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  constexpr std::size_t kSize = 256 << 10;
  constexpr double kNoise = 0.05;
  // A secret is tried at each place of the first one: that is the measure for the others.
  const double tried = seconds("a", kSize);
  CHECK(tried < 4 * 8 * seconds("a", kSize / 8) + kNoise);
  const std::string run(8 * (lead.size() + 1), '\\');
  for (const std::string& part :
       std::vector<std::string>{"\\", "%25", "&", "\\u", "aaaaaaaaaaaaaaaaaaa\\", run + "b", run + "aaaabcdefg ",
                                lead + "aaaabcdefg ", lead + "\\u0061aaabcdefg "}) {
    CAPTURE(part, tried);
    CHECK(seconds(part, kSize) < 12 * tried + kNoise);
  }
}

TEST_CASE("a secret that begins with backslashes is found behind others, however often they were escaped") {
  const std::string value = "\\\\\\sk/live\"1";
  const SecretMask mask = mask_of(value);
  for (std::size_t others : {0, 1, 7, 40, 1'000}) {
    for (const std::string& writing : {value, dumped(value), dumped(dumped(value)), dumped(dumped(dumped(value)))}) {
      const std::string before(others, '\\');
      CAPTURE(others, writing);
      const std::string text = masked(mask, before + writing + ".");
      CHECK(text.ends_with("[secret KEY]."));
      CHECK(text.size() <= others + std::string_view("[secret KEY].").size());
    }
    const std::string quoted =
        masked(mask_of("\\\\\"sk-live-1"), std::string(others, '\\') + dumped("\\\\\"sk-live-1"));
    CHECK(quoted.ends_with("[secret KEY]"));
  }
}

}  // namespace weft
