// A dialect of the tests' own, as unlike the product's as the seam allows: another path, another header for the key,
// all results of a turn in one message, and a stream of lines that ends with a word.
//
//   request    {"who":MODEL,"say":[ MESSAGE , … ]}
//   MESSAGE    {"in":TEXT} | {"out":TEXT,"do":[[ID,NAME,ARGUMENTS]…]} | {"back":[[ID,CONTENT,FAILED]…]}
//   response   a line each: "+TEXT", "!ID NAME ARGUMENTS", and "end"
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "runtime/model/dialect.h"
#include "runtime/model/prefix.h"

namespace weft::test {

class LinesDecoder final : public model::ResponseDecoder {
 public:
  explicit LinesDecoder(model::OnProgress on_progress) : on_progress_(std::move(on_progress)) {}

  void head(const HttpHead& head) override { status_ = head.status; }
  void bytes(std::string_view bytes) override {
    for (const char c : bytes) {
      if (c == '\n') {
        line(std::exchange(line_, {}));
      } else {
        line_ += c;
      }
    }
  }
  bool has_token() const override { return !turn_.text.empty() || !turn_.tool_calls.empty(); }
  bool settled() const override { return done_; }
  model::Outcome finish(const HttpEnd& end) override {
    if (!done_) {
      model::Failure failure;
      failure.kind = status_ == 200 ? model::FailureKind::kStreamClosed : model::FailureKind::kServer;
      failure.total = end.total;
      return failure;
    }
    model::Answer answer;
    answer.finish = turn_.tool_calls.empty() ? model::Finish::kStop : model::Finish::kToolCalls;
    answer.turn = std::move(turn_);
    return answer;
  }

 private:
  void line(const std::string& line) {
    if (line.starts_with('+')) {
      turn_.text += line.substr(1);
      if (on_progress_) on_progress_(model::Stream::kText, line.substr(1));
    } else if (line.starts_with('!')) {
      const std::size_t name = line.find(' ');
      const std::size_t arguments = line.find(' ', name + 1);
      turn_.tool_calls.push_back(
          {line.substr(1, name - 1), line.substr(name + 1, arguments - name - 1), line.substr(arguments + 1)});
    }
    done_ = done_ || line == "end";
  }

  model::OnProgress on_progress_;
  int status_ = 0;
  std::string line_;
  model::Turn turn_;
  bool done_ = false;
};

class LinesDialect final : public model::Dialect {
 public:
  std::string_view name() const override { return "lines"; }
  Result<std::string> prefix(const model::AgentSpec& agent, const model::Features&) const override {
    Json tools = Json::array();
    for (const model::ToolDeclaration& tool : agent.tools) tools.push_back(tool.name);
    return "{\"who\":" + to_text(Json(agent.model)) + ",\"can\":" + to_text(tools) + ",\"say\":[";
  }
  std::string user(const model::Prefix&, Place place, std::string_view text) const override {
    return message(place, {{"in", text}});
  }
  std::string turn(const model::Prefix&, Place place, const model::Turn& turn) const override {
    Json calls = Json::array();
    for (const model::ToolCall& call : turn.tool_calls) calls.push_back({call.id, call.name, call.arguments});
    return message(place, {{"out", turn.text}, {"do", std::move(calls)}});
  }
  std::string results(const model::Prefix&, Place place, std::span<const model::ToolResult> results) const override {
    Json back = Json::array();
    for (const model::ToolResult& result : results) back.push_back({result.call_id, result.content, result.failed});
    return message(place, {{"back", std::move(back)}});
  }
  const std::shared_ptr<const std::string>& tail() const override { return tail_; }
  HttpRequest request(const model::Endpoint& endpoint) const override {
    HttpRequest request;
    request.url = endpoint.base_url + "/lines";
    request.headers = {"Content-Type: application/json", "X-Lines-Key: " + endpoint.key};
    return request;
  }
  std::unique_ptr<model::ResponseDecoder> decoder(model::OnProgress on_progress,
                                                  const model::DecoderLimits&) const override {
    return std::make_unique<LinesDecoder>(std::move(on_progress));
  }

 private:
  static std::string message(Place place, const Json& json) {
    return (place == Place::kFirst ? "" : ",") + to_text(json);
  }
  const std::shared_ptr<const std::string> tail_ = std::make_shared<const std::string>("]}");
};

}  // namespace weft::test
