#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "runtime/model/openai_decoder.h"
#include "tests/model/decoding.h"

namespace weft::model {
namespace {

using test::choice;
using test::decode;
using test::Decoded;
using test::delta;
using test::finish;
using test::kDone;
using test::Reply;
using test::text;

const auto kPieces = {std::size_t{1}, std::size_t{7}, std::size_t{0}};

TEST_CASE("a stream of text and reasoning becomes one answer, however it is cut") {
  const std::size_t piece = GENERATE(values(kPieces));
  const std::string body = ": keep-alive\n\n" + delta(R"("role":"assistant","content":null,"reasoning_content":"")") +
                           delta(R"("content":null,"reasoning_content":"let me ")") +
                           delta(R"("content":null,"reasoning_content":"see")") + text("Grü") + text("ße, 世界") +
                           text("\\n\\\"q\\\" \\u00e9 \\ud83d\\ude00") + text("!") + finish("stop") +
                           "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":7,"
                           "\"prompt_cache_hit_tokens\":4,\"prompt_cache_miss_tokens\":6,"
                           "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n" +
                           kDone;
  Reply reply{.headers = {{"x-request-id", "r-1"}}, .body = body};
  const Decoded out = decode(reply, piece);
  const Answer& answer = out.answer();
  CHECK(answer.turn.text == "Grüße, 世界\n\"q\" é 😀!");
  CHECK(answer.turn.reasoning == "let me see");
  CHECK(answer.turn.tool_calls.empty());
  CHECK(answer.finish == Finish::kStop);
  CHECK(answer.finish_reason == "stop");
  CHECK(answer.model == "m");
  CHECK(answer.request_id == "r-1");
  CHECK(answer.usage == Usage{.input_hit = 4, .input_miss = 6, .input_write = {}, .output = 5, .reasoning = 2});
  CHECK(out.shown_text == answer.turn.text);
  CHECK(out.shown_reasoning == "let me see");
  CHECK(out.token);
  CHECK(out.settled);
}

TEST_CASE("a failure says whether the call may be billed, and how much of an answer came") {
  const std::string call =
      delta(R"("tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"x\":\"0123456789"}}])");
  const auto failed = [](int status, std::string body, HttpEnd end) {
    return decode(Reply{.status = status, .headers = {}, .body = std::move(body), .end = std::move(end)}, 0).failure();
  };
  HttpEnd whole;
  whole.ok = true;
  HttpEnd reset;
  reset.fault = HttpFault::kReset;
  reset.sent = true;
  HttpEnd unreached;
  unreached.fault = HttpFault::kConnect;
  const Failure arguments = failed(200, call, reset);
  CHECK(arguments.may_be_billed);
  CHECK(arguments.answer_bytes >= 16);
  CHECK(failed(200, R"({"choices":[{"mess)", reset).may_be_billed);
  CHECK(failed(0, "", reset).may_be_billed);
  CHECK_FALSE(failed(0, "", unreached).may_be_billed);
  CHECK_FALSE(failed(503, R"({"error":{"message":"busy"}})", whole).may_be_billed);
  CHECK_FALSE(failed(200, "data: {\"error\":{\"message\":\"busy\"}}\n\n", whole).may_be_billed);
  CHECK(failed(200, text("half") + "data: {\"error\":{\"message\":\"busy\"}}\n\n", whole).may_be_billed);
}

TEST_CASE("line ends, byte order marks, comments, other fields and events over several lines do not matter") {
  const std::size_t piece = GENERATE(values(kPieces));
  const std::string end = GENERATE("\n", "\r\n", "\r");
  std::string body =
      "\xEF\xBB\xBF: hello\n\nevent: message\nid: 7\nretry: 10\ndatabase: x\n"
      "data:{\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"}}]}\n\n" +
      text("b") + "data:" + text("c").substr(6) + finish("stop") + "data:[DONE]\n\n";
  std::string converted;
  for (const char c : body) converted += c == '\n' ? end : std::string(1, c);
  CHECK(decode(converted, piece).answer().turn.text == "abc");
}

TEST_CASE("reasoning is kept as it came: absent, empty, or under its other name") {
  CHECK_FALSE(decode(text("x") + finish("stop") + kDone).answer().turn.reasoning);
  CHECK_FALSE(
      decode(delta(R"("content":"x","reasoning_content":null)") + finish("stop") + kDone).answer().turn.reasoning);
  CHECK(decode(delta(R"("content":"x","reasoning_content":"")") + finish("stop") + kDone).answer().turn.reasoning ==
        "");
  CHECK(decode(delta(R"("reasoning":"a")") + delta(R"("reasoning":"b")") + delta(R"("reasoning":"c")") + text("x") +
               finish("stop") + kDone)
            .answer()
            .turn.reasoning == "abc");
  CHECK(decode(delta(R"("reasoning":"a","reasoning_content":"a")") + text("x") + finish("stop") + kDone)
            .answer()
            .turn.reasoning == "a");
}

TEST_CASE("a first token is text, reasoning or a tool call, and nothing else") {
  const auto token = [](const std::string& body) { return decode(body).token; };
  CHECK_FALSE(token(": keep-alive\n\n: keep-alive\n\n"));
  CHECK_FALSE(token(delta(R"("role":"assistant","content":null,"reasoning_content":"")")));
  CHECK_FALSE(token(delta(R"("role":"assistant","content":"")")));
  CHECK_FALSE(token(delta(R"("tool_calls":[])")));
  CHECK(token(text("x")));
  CHECK(token(delta(R"("reasoning_content":"x")")));
  CHECK(token(delta(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}])")));
}

TEST_CASE("the fast reading of like chunks gives what the parser gives") {
  // Chunks that look alike but for one string, and chunks that nearly do.
  std::string body;
  std::string expected;
  const std::vector<std::pair<std::string, std::string>> pieces = {{"one ", "one "}, {"two ", "two "}, {"\\t", "\t"},
                                                                   {"\\\\", "\\"},   {"\\u0041", "A"}, {"}]}", "}]}"},
                                                                   {"ü", "ü"},       {"", ""},         {"{", "{"}};
  for (int round = 0; round < 3; ++round) {
    for (const auto& [escaped, plain] : pieces) {
      body += text(escaped);
      expected += plain;
      body += delta("\"content\":\"" + escaped + "\",\"x\":\"content\"");
      expected += plain;
      body += delta("\"x\":{\"content\":\"" + escaped + "\"},\"content\":\"=\"");
      expected += "=";
    }
  }
  CHECK(decode(body + finish("stop") + kDone).answer().turn.text == expected);
  CHECK(decode(text("a") + text("b") + text("bad \xFF utf-8") + finish("stop") + kDone).kind() == "malformed");
  CHECK(decode(text("a") + text("b") + text("x\",\"content\":\"y") + finish("stop") + kDone).kind() == "malformed");
}

struct Case {
  const char* name;
  std::string body;
  std::string kind;
};

TEST_CASE("faults of a stream are told apart") {
  const std::string call =
      delta(R"("tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}])");
  const std::vector<Case> cases = {
      {"T6 no bytes", "", "stream_closed"},
      {"T6 blank lines only", "\n\n\n", "stream_closed"},
      {"T6 keep-alives only", ": keep-alive\n\n: keep-alive\n\n", "stream_closed"},
      {"T6 after text", text("half"), "stream_closed"},
      {"T6 after a complete-looking call", call, "stream_closed"},
      {"T6 after the finish", text("all") + finish("stop"), "stream_closed"},
      {"T6 an unterminated DONE", text("all") + finish("stop") + "data: [DONE]", "stream_closed"},
      {"DONE with one line end", text("all") + finish("stop") + "data: [DONE]\n", "answer"},
      {"T7 plain text of a proxy", text("half") + "upstream error: read ECONNRESET\n", "stream_closed"},
      {"T12 HTML", "<html><body>502 Bad Gateway</body></html>", "malformed"},
      {"T12 a whole JSON response", R"({"model":"m","choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})",
       "answer"},
      {"T12 the same, cut", R"({"choices":[{"message":{"content":"x")", "malformed"},
      {"S1 malformed JSON", text("x") + "data: {\"choices\":[\n\n" + finish("stop") + kDone, "malformed"},
      {"S1 not an object", "data: 7\n\n" + kDone, "malformed"},
      {"S2 choices null", text("x") + "data: {\"choices\":null}\n\n" + finish("stop") + kDone, "malformed"},
      {"S2 choices absent", text("x") + "data: {\"id\":\"c\"}\n\n" + finish("stop") + kDone, "malformed"},
      {"S2 choices of another type", "data: {\"choices\":{}}\n\n" + kDone, "malformed"},
      {"S2 a choice of another type", "data: {\"choices\":[7]}\n\n" + kDone, "malformed"},
      {"S2 delta null", choice(R"("delta":null)") + finish("stop") + kDone, "malformed"},
      {"S2 no delta", choice(R"("finish_reason":null)") + kDone, "malformed"},
      {"S2 content of another type", delta(R"("content":[1])") + finish("stop") + kDone, "malformed"},
      {"S2 reasoning of another type", delta(R"("reasoning_content":{})") + finish("stop") + kDone, "malformed"},
      {"S2 usage alone, choices null", text("x") + finish("stop") + "data: {\"choices\":null,\"usage\":{}}\n\n" + kDone,
       "answer"},
      {"S2 usage alone, no choices", text("x") + finish("stop") + "data: {\"usage\":{}}\n\n" + kDone, "answer"},
      {"S4 an error event", text("x") + "data: {\"error\":{\"message\":\"boom\"}}\n\n", "overloaded"},
      {"S4 an error event with a code", "data: {\"error\":{\"code\":429,\"message\":\"slow down\"}}\n\n", "rate_limit"},
      {"S4 an error event of the request",
       "data: {\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no\"}}\n\n", "invalid_request"},
      {"S4 an overflow event",
       "data: {\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"x\"}}\n\n",
       "context_overflow"},
      {"S4 an error in a whole response", R"({"error":{"message":"Overloaded","type":"overloaded_error"}})",
       "overloaded"},
      {"S4 error null",
       "data: {\"error\":null,\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n" + finish("stop") + kDone, "answer"},
      {"S6 no finish_reason", text("x") + kDone, "malformed"},
      {"S6 an unknown finish_reason", text("x") + finish("eos") + kDone, "malformed"},
      {"S6 function_call", text("x") + finish("function_call") + kDone, "malformed"},
      {"S6 finish_reason of another type", choice(R"("delta":{},"finish_reason":1)") + kDone, "malformed"},
      {"S7 events after DONE", text("x") + finish("stop") + kDone + text("y") + kDone + "data: {\n\n", "answer"},
      {"S7 DONE without a space", text("x") + finish("stop") + "data:[DONE]\n\n", "answer"},
      {"S9 a gateway's envelope", "data: {\"data\":{\"choices\":[]},\"success\":true}\n\n" + kDone, "malformed"},
      {"S9 a gateway's envelope, whole", R"({"data":{"choices":[]},"success":true})", "malformed"},
      {"L1 empty", finish("stop") + kDone, "empty_response"},
      {"L1 blank", text(" \\n ") + finish("stop") + kDone, "empty_response"},
      {"L7 reasoning only", delta(R"("reasoning_content":"hm")") + finish("stop") + kDone, "empty_response"},
      {"L9 content_filter", text("x") + finish("content_filter") + kDone, "blocked"},
      {"OpenAI's refusal", delta(R"("refusal":"I cannot")") + finish("stop") + kDone, "blocked"},
      {"L10 insufficient_system_resource", text("{\\\"a\\\":") + finish("insufficient_system_resource") + kDone,
       "overloaded"},
      {"length with text", text("x") + finish("length") + kDone, "answer"},
      {"length with nothing but reasoning", delta(R"("reasoning_content":"hm")") + finish("length") + kDone, "answer"},
      {"calls promised and not made", finish("tool_calls") + kDone, "empty_response"},
      {"calls promised, text instead", text("x") + finish("tool_calls") + kDone, "malformed"},
      {"another choice is not ours",
       text("x") + "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"y\"}}]}\n\n" + finish("stop") + kDone,
       "answer"},
      {"finish without a delta", text("x") + choice(R"("finish_reason":"stop")") + kDone, "answer"},
      {"nested too deep", "data: " + std::string(1000, '[') + "\n\n", "malformed"},
      {"NUL bytes", std::string("data: {\"a\0\":1}\n\n", 16), "malformed"},
      {"M1 markup for calls",
       text("<｜DSML｜tool_calls>\\n<｜DSML｜invoke name=\\\"f\\\">\\n</｜DSML｜invoke>\\n</｜DSML｜tool_calls>") +
           finish("stop") + kDone,
       "malformed"},
      {"M2 markup over chunks", text("ok <｜DS") + text("ML") + text("｜invoke name=") + finish("stop") + kDone,
       "malformed"},
      {"M3 ASCII bars", text("<|DSML|invoke>") + finish("stop") + kDone, "malformed"},
      {"M3 double bars", text("<｜｜DSML｜｜toolcalls>") + finish("stop") + kDone, "malformed"},
      {"M3 another bar", text("</‖DSML‖tool_calls>") + finish("stop") + kDone, "malformed"},
      {"M5 markup beside a call", text("<｜DSML｜invoke") + call + finish("tool_calls") + kDone, "malformed"},
      {"M no markup", text("a < b, <tag> <| <DSML> DSML｜ <｜DSM") + finish("stop") + kDone, "answer"},
  };
  for (const Case& c : cases) {
    for (const std::size_t piece : kPieces) {
      INFO(c.name << ", pieces of " << piece);
      const Decoded out = decode(c.body, piece);
      CHECK(out.kind() == c.kind);
      if (out.kind() != "answer") CHECK_FALSE(out.failure().message.empty());
    }
  }
}

TEST_CASE("markup is never shown, and what only looks like it is") {
  for (const std::size_t piece : kPieces) {
    CHECK(decode(text("see <") + text("｜") + text("DSML｜invoke>rm</｜DSML｜invoke> more") + finish("stop") + kDone,
                 piece)
              .shown_text == "see ");
    CHECK(decode(text("a <") + text("b> <｜D") + text("x <|") + finish("stop") + kDone, piece).shown_text ==
          "a <b> <｜Dx <|");
  }
}

TEST_CASE("how a body broke off decides the failure, and what had come is kept for the trace only") {
  const auto broken = [](HttpFault fault, const std::string& body) {
    Reply reply{.body = body};
    reply.end.ok = false;
    reply.end.fault = fault;
    reply.end.message = "broke";
    return decode(reply, 0);
  };
  const std::string half = text("half an ans");
  CHECK(broken(HttpFault::kConnect, "").kind() == "transport");
  CHECK(broken(HttpFault::kReset, "").kind() == "transport");
  CHECK(broken(HttpFault::kProtocol, "").kind() == "transport");
  CHECK(broken(HttpFault::kReset, half).kind() == "transport");
  CHECK(broken(HttpFault::kReset, half).failure().partial_text == "half an ans");
  CHECK(broken(HttpFault::kTimeout, half).kind() == "timeout");
  CHECK(broken(HttpFault::kTooLarge, half).kind() == "too_large");
  CHECK(broken(HttpFault::kReset, R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})").kind() ==
        "transport");
  // Complete is complete, however the connection ends.
  CHECK(broken(HttpFault::kReset, text("x") + finish("stop") + kDone).kind() == "answer");
}

TEST_CASE("a failure keeps the usage that was reported, and at most 64 KiB of text") {
  const std::string large(100'000, 'x');
  const Decoded out = decode(text(large) + finish("insufficient_system_resource") +
                             "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n" + kDone);
  CHECK(out.failure().usage->input_miss == 5);
  CHECK(out.failure().usage->output == 6);
  CHECK(out.failure().partial_text.size() == 65'536);
}

TEST_CASE("memory is bounded by limits that failures name") {
  const auto limited = [](const std::string& body, DecoderLimits limits, std::size_t piece) {
    return decode(Reply{.body = body}, piece, limits);
  };
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1000}}) {
    std::string body;
    for (int i = 0; i < 100; ++i) body += text("0123456789");
    CHECK(limited(body, {.answer_bytes_max = 999}, piece).failure().message.find("answer_bytes_max") !=
          std::string::npos);
    CHECK(limited(body, {.answer_bytes_max = 1000}, piece).kind() == "stream_closed");
    CHECK(limited("data: " + std::string(5000, 'x'), {.line_bytes_max = 4096}, piece).kind() == "too_large");
    CHECK(limited(": " + std::string(5000, 'x'), {.line_bytes_max = 4096}, piece).kind() == "too_large");
    std::string lines;
    for (int i = 0; i < 100; ++i) lines += "data: " + std::string(100, 'x') + "\n";
    CHECK(limited(lines, {.line_bytes_max = 4096}, piece).kind() == "too_large");
    CHECK(limited("{\"a\":\"" + std::string(5000, 'x'), {.answer_bytes_max = 4096}, piece).kind() == "too_large");
  }
}

TEST_CASE("a line of 5 MiB and 384,000 small chunks are no burden") {
  CHECK(decode(text(std::string(5 << 20, 'x')) + finish("stop") + kDone, 4096).answer().turn.text.size() == 5 << 20);
  std::string body;
  for (int i = 0; i < 384'000; ++i) body += text(i % 10 == 0 ? "\\n" : " token");
  const SystemClock clock;
  const Duration start = clock.monotonic();
  const Decoded out = decode(body + finish("stop") + kDone, 4096);
  const Duration took = clock.monotonic() - start;
  CHECK(out.answer().turn.text.size() == 384'000 / 10 * 55);
  // Measured at -O2: 0.6 us a chunk. The bound only catches what grows with the square of the chunks.
  CHECK(took < std::chrono::seconds(20));
  INFO("us a chunk: " << static_cast<double>(took.count()) / 384'000);
  SUCCEED();
}

TEST_CASE("a whole response reads as its stream would") {
  const std::string body =
      "\n \r\n\n" + std::string(R"({"id":"x","model":"m2","choices":[{"index":0,"message":{"role":"assistant",
    "content":"hi","reasoning_content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
    {"id":"b","type":"function","function":{"name":"f","arguments":"{ \"x\" : 1 }"}}]},"finish_reason":"tool_calls"}],
    "usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}})");
  for (const std::size_t piece : kPieces) {
    const Decoded out = decode(body, piece);
    const Answer& answer = out.answer();
    CHECK(answer.turn == Turn{"hi", "", {{"a", "f", "{}"}, {"b", "f", "{ \"x\" : 1 }"}}});
    CHECK(answer.finish == Finish::kToolCalls);
    CHECK(answer.model == "m2");
    CHECK(answer.usage.input_hit == 1);
    CHECK(answer.usage.input_miss == 2);
    CHECK(out.shown_text == "hi");
  }
}

}  // namespace
}  // namespace weft::model
