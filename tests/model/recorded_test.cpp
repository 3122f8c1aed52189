// What a real server sent (tests/fixtures/streams), read in pieces of any size.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "tests/model/decoding.h"

namespace weft::model {
namespace {

using test::decode;
using test::Decoded;
using test::Reply;

Reply recorded(const std::string& name) {
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/tests/fixtures/streams/llama-server-" + name + ".txt",
                     std::ios::binary);
  REQUIRE(file);
  std::stringstream whole;
  whole << file.rdbuf();
  const std::string bytes = whole.str();
  const std::size_t lf = bytes.find("\n\n");
  const std::size_t crlf = bytes.find("\r\n\r\n");
  Reply reply;
  reply.body = crlf < lf ? bytes.substr(crlf + 4) : bytes.substr(lf + 2);
  return reply;
}

const std::map<std::string, std::string> kKinds = {
    {"a_msg", "malformed"},          {"a_stream_text", "malformed"},    {"a_stream_tool", "malformed"},
    {"a_tool", "malformed"},         {"a_toolresult", "malformed"},     {"nostream_tool_trunc", "answer"},
    {"progress", "answer"},          {"responses", "malformed"},        {"stream_json", "answer"},
    {"stream_text", "answer"},       {"stream_text_nousage", "answer"}, {"stream_tool", "answer"},
    {"stream_tool_trunc", "answer"},
};

TEST_CASE("every recorded response is read the same in pieces of any size, and other formats are refused") {
  std::size_t files = 0;
  const std::string folder = std::string(WEFT_SOURCE_DIR) + "/tests/fixtures/streams";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files += entry.path().extension() == ".txt";
  CHECK(files == kKinds.size());
  for (const auto& [name, kind] : kKinds) {
    INFO(name);
    const Reply reply = recorded(name);
    const Decoded whole = decode(reply, 0);
    CHECK(whole.kind() == kind);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{1000}}) {
      const Decoded pieces = decode(reply, piece);
      REQUIRE(pieces.kind() == kind);
      if (kind != "answer") continue;
      CHECK(pieces.answer().turn == whole.answer().turn);
      CHECK(pieces.answer().usage == whole.answer().usage);
      CHECK(pieces.shown_text == whole.answer().turn.text);
    }
    // Cut anywhere before its end, a stream is no answer.
    if (kind != "answer" || name.starts_with("nostream")) continue;
    for (std::size_t length = 0; length + 8 < reply.body.size(); length += 97) {
      Reply cut = reply;
      cut.body.resize(length);
      CHECK(decode(cut, 0).kind() == "stream_closed");
    }
  }
}

TEST_CASE("recorded text, usage and timings") {
  const Decoded decoded = decode(recorded("stream_text"), 0);
  const Answer& answer = decoded.answer();
  CHECK(answer.turn.text.starts_with(" Res question f"));
  CHECK(answer.finish == Finish::kLength);
  CHECK(answer.model == "weft-local");
  CHECK(answer.usage == Usage{.input_hit = 197, .input_miss = 7, .input_write = {}, .output = 6, .reasoning = {}});
  // Without a usage chunk the timings say it.
  CHECK(decode(recorded("stream_text_nousage"), 0).answer().usage ==
        Usage{.input_hit = 203, .input_miss = 1, .input_write = {}, .output = 3, .reasoning = {}});
  CHECK(decode(recorded("nostream_tool_trunc"), 0).answer().usage.input_hit == 324);
  CHECK(parse_untrusted(decode(recorded("stream_json"), 0).answer().turn.text));
}

TEST_CASE("recorded tool calls keep their bytes, braces inside strings included, and text before them") {
  const Decoded decoded = decode(recorded("stream_tool"), 0);
  const Turn& turn = decoded.answer().turn;
  CHECK(decoded.answer().finish == Finish::kToolCalls);
  CHECK_FALSE(turn.text.empty());
  REQUIRE_FALSE(turn.tool_calls.empty());
  for (const ToolCall& call : turn.tool_calls) {
    CHECK(call.id.size() == 32);
    CHECK_FALSE(call.name.empty());
    CHECK(parse_untrusted(call.arguments)->is_object());
  }
}

}  // namespace
}  // namespace weft::model
