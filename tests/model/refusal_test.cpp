#include "runtime/model/refusal.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/model/decoding.h"

namespace weft::model {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::decode;
using test::Decoded;
using test::Reply;

struct Case {
  int status;
  std::string body;
  const char* kind;
  bool retryable;
};

std::string error(std::string_view message, std::string_view type = "invalid_request_error") {
  return R"({"error":{"message":")" + std::string(message) + R"(","type":")" + std::string(type) + R"("}})";
}

TEST_CASE("each HTTP status is one kind of failure, with a JSON, HTML or empty body") {
  const std::vector<Case> cases = {
      {400, error("bad"), "invalid_request", false},
      {401, error("Invalid API Key", "authentication_error"), "auth", false},
      {402, error("Insufficient Balance"), "quota", false},
      {403, "", "auth", false},
      {404, R"({"error":{"message":"File Not Found","type":"not_found_error","code":404}})", "invalid_request", false},
      {408, "", "timeout", true},
      {413, "", "invalid_request", false},
      {422, error("bad"), "invalid_request", false},
      {429, error("slow down", "rate_limit_error"), "rate_limit", true},
      {429, "", "rate_limit", true},
      {429, error("You exceeded your current quota", "insufficient_quota"), "quota", false},
      {500, "", "server", true},
      {500, error("internal", "server_error"), "server", true},
      {500, "<html>oops</html>", "server", true},
      {501, error("embeddings are not enabled", "not_supported_error"), "invalid_request", false},
      {502, "<html>Bad Gateway</html>", "server", true},
      {503, error("Loading model", "unavailable_error"), "overloaded", true},
      {504, "", "server", true},
      {529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", "overloaded", true},
      {301, "", "invalid_request", false},
      {500, "{\"error\":", "server", true},
      {500, "[]", "server", true},
      {400, R"({"detail":"x"})", "invalid_request", false},
      {400, R"({"error":"x"})", "invalid_request", false},
      // A context that is too long, in several servers' words (H10).
      {400,
       R"({"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}})",
       "context_overflow", false},
      {400, error("This model's maximum context length is 1048576 tokens. However, you requested 1048600 tokens"),
       "context_overflow", false},
      {400, R"({"error":{"message":"x","code":"context_length_exceeded"}})", "context_overflow", false},
      {400, error("prompt is too long: 210000 tokens > 200000 maximum"), "context_overflow", false},
      // The recorded history is refused (H11, H12, H13).
      {400, error("The `reasoning_content` in the thinking mode must be passed back to the API."), "history_contract",
       false},
      {400, error("Missing `reasoning_content` field in the assistant message at message index 3."), "history_contract",
       false},
      {400, error("The `content[].thinking` in the thinking mode must be passed back to the API."), "history_contract",
       false},
      {400, error("Expecting property name enclosed in double quotes: line 1"), "history_contract", false},
      {400, error("Unterminated string starting at: line 1 column 9"), "history_contract", false},
      {400,
       error("An assistant message with 'tool_calls' must be followed by tool messages responding to each "
             "'tool_call_id'."),
       "history_contract", false},
      // Input errors that a server reports as its own.
      {500, error("Failed to parse tool call arguments as JSON: [json.exception.parse_error.101] x", "server_error"),
       "history_contract", false},
      {500, error("[json.exception.parse_error.101] parse error at line 1", "server_error"), "invalid_request", false},
      {500, error("Failed to parse messages: Missing 'role'", "server_error"), "invalid_request", false},
      {500, error("image input is not supported - hint: x", "server_error"), "invalid_request", false},
      {500, error("The server is overloaded", "server_error"), "overloaded", true},
      {400, error("Content Exists Risk"), "blocked", false},
      {400, R"({"error":{"message":"filtered","code":"content_filter"}})", "blocked", false},
  };
  for (const Case& c : cases) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{0}}) {
      INFO(c.status << " " << c.body);
      const Decoded decoded = decode(Reply{.status = c.status, .body = c.body}, piece);
      CHECK(decoded.kind() == c.kind);
      CHECK(is_retryable(decoded.failure().kind) == c.retryable);
      CHECK(decoded.failure().status == c.status);
      CHECK(decoded.failure().message.find(std::to_string(c.status)) != std::string::npos);
    }
  }
}

TEST_CASE("a refusal's message is the server's, cut and safe to print") {
  CHECK(read_refusal(400, error("no \\u001b[31m way")).message == "HTTP 400: no \\x1b[31m way");
  CHECK(read_refusal(500, std::string(1 << 20, 'x')).message.size() < kRefusalBytesMax + 20);
  CHECK(read_refusal(500, "").message == "HTTP 500");
  CHECK(decode(Reply{.status = 500, .body = std::string(1 << 20, 'x')}, 1000).failure().message.size() < 3000);
}

TEST_CASE("the time to wait is read in each of its forms") {
  const auto read = [](std::vector<std::pair<std::string, std::string>> headers) {
    HttpHead head;
    head.headers = std::move(headers);
    return read_retry_after(head);
  };
  CHECK(read({{"retry-after", "7"}}) == seconds(7));
  CHECK(read({{"retry-after", "0"}}) == seconds(0));
  CHECK(read({{"retry-after", "1.5"}}) == seconds(1));
  CHECK(read({{"retry-after-ms", "250"}, {"retry-after", "9"}}) == milliseconds(250));
  const std::pair<std::string, std::string> date = {"date", "Sat, 21 Nov 2026 10:00:00 GMT"};
  CHECK(read({date, {"retry-after", "Sat, 21 Nov 2026 10:00:30 GMT"}}) == seconds(30));
  CHECK(read({date, {"retry-after", "Sat, 21 Nov 2026 09:00:00 GMT"}}) == seconds(0));
  CHECK(read({date, {"retry-after", "Sat, 21 Nov 2099 09:00:00 GMT"}}) == hours(24));
  CHECK(read({{"retry-after", "Sat, 21 Nov 2099 09:00:00 GMT"}}) == hours(24));
  CHECK(read({{"retry-after", "999999999999999999999999"}}) == hours(24));
  for (const char* nonsense : {"", "-5", "soon", "7 seconds", "Sat, 99 Nov 2026 10:00:00 GMT",
                               "Sat, 21 Foo 2026 10:00:00 GMT", "Sat, 21 Nov 2026 10:00:00 CET"}) {
    INFO(nonsense);
    CHECK_FALSE(read({date, {"retry-after", nonsense}}));
  }
}

TEST_CASE("a refusal carries the wait and the request's name") {
  const Decoded decoded =
      decode(Reply{.status = 429, .headers = {{"retry-after", "3"}, {"x-deepseek-request-id", "q"}}, .body = ""}, 0);
  CHECK(decoded.failure().retry_after == seconds(3));
  CHECK(decoded.failure().request_id == "q");
}

TEST_CASE("every kind of failure has its own name") {
  std::vector<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(FailureKind::kCancelled); ++kind) {
    names.push_back(failure_name(static_cast<FailureKind>(kind)));
  }
  std::sort(names.begin(), names.end());
  CHECK(std::unique(names.begin(), names.end()) == names.end());
  CHECK_FALSE(is_retryable(FailureKind::kCancelled));
}

}  // namespace
}  // namespace weft::model
