// The model of W2: a call of the first tool with {"a":2,"b":3} where no tool has answered yet, else "The answer is 5.",
// streaming where the request says so, after the wait that its path asks for. What bench/peers/common/w2lib.mjs
// expects.
//
// agent_model. Prints "agent_model: port N". POST /lat/MS/v1/chat/completions. SIGUSR2: prints, of the calls since the
// last time, "agent_model: late MS turn P50 P99": how much later than asked its answers left on average, and how long a
// client took from an answer that asks for a tool to the next request of that conversation, in milliseconds. The last
// is the agent loop's own time a model call, with neither a submission nor the model's wait in it.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "bench/http_host.h"
#include "bench/load.h"

namespace weft::bench {
namespace {

using std::chrono::steady_clock;

double ms_between(steady_clock::time_point from, steady_clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string http(std::string_view type, const std::string& body) {
  return fmt::format("HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n{}", type, body.size(), body);
}

// The id is the answer's own: some clients keep one message of each.
Json envelope(const char* object, const std::string& model, std::uint64_t id) {
  return {{"id", fmt::format("chatcmpl-{}", id)}, {"object", object}, {"created", 1'700'000'000}, {"model", model}};
}

Json usage() {
  return {{"prompt_tokens", 120},
          {"completion_tokens", 12},
          {"total_tokens", 132},
          {"prompt_tokens_details", {{"cached_tokens", 64}}}};
}

Json choice(const char* key, Json message, Json finish) {
  return Json::array({{{"index", 0}, {key, std::move(message)}, {"finish_reason", std::move(finish)}}});
}

class Model {
 public:
  int serve() {
    if (!host_.listen()) return 1;
    host_.on_signal(SIGUSR2, [this] { report(); });
    fmt::print("agent_model: port {}\n", host_.port());
    std::fflush(stdout);
    host_.serve([this](int connection, std::string_view head, std::string_view body) { take(connection, head, body); },
                [this](int connection) { waiting_.erase(connection); });
  }

 private:
  void take(int connection, std::string_view head, std::string_view body) {
    const auto now = steady_clock::now();
    constexpr std::string_view kWait = "/lat/";
    double wait_ms = 0;
    if (const std::size_t at = head.find(kWait); at != std::string_view::npos) {
      std::from_chars(head.data() + at + kWait.size(), head.data() + head.size(), wait_ms);
    }
    const std::uint64_t id = ++requests_;
    waiting_[connection] = id;
    const auto due =
        now + std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double, std::milli>(wait_ms));
    // Parsed while it waits, as a model reads while it thinks.
    auto request = parse_untrusted(body);
    if (!request || !request->contains("messages")) return host_.close(connection);
    for (const Json& message : request->at("messages")) {
      if (message.value("role", "") != "tool") continue;
      const auto asked = asked_.find(message.value("tool_call_id", ""));
      if (asked == asked_.end()) continue;
      turns_ms_.push_back(ms_between(asked->second, now));
      asked_.erase(asked);
    }
    std::string call;
    std::string reply = answer(*request, id, call);
    auto leave = [this, connection, id, due, call = std::move(call), reply = std::move(reply)] {
      const auto found = waiting_.find(connection);
      if (found == waiting_.end() || found->second != id) return;
      host_.send(connection, reply);
      const auto sent = steady_clock::now();
      late_ms_ += ms_between(due, sent);
      ++answers_;
      if (!call.empty()) asked_[call] = sent;
    };
    wait_ms > 0 ? host_.at(due, std::move(leave)) : leave();
  }

  // `call` becomes the id of the tool call that the answer asks for, where it asks for one.
  static std::string answer(const Json& request, std::uint64_t id, std::string& call) {
    const std::string model = request.value("model", "fake");
    bool answered = false;
    for (const Json& message : request.at("messages")) answered = answered || message.value("role", "") == "tool";
    const bool asks = !answered && request.contains("tools") && !request.at("tools").empty();
    Json calls;
    if (asks) {
      call = fmt::format("call_{}", id);
      const Json& name = request.at("tools").at(0).at("function").at("name");
      calls = Json::array(
          {{{"id", call}, {"type", "function"}, {"function", {{"name", name}, {"arguments", R"({"a":2,"b":3})"}}}}});
    }
    if (!request.value("stream", false)) {
      Json whole = envelope("chat.completion", model, id);
      Json message = {{"role", "assistant"}, {"content", asks ? Json() : Json("The answer is 5.")}};
      if (asks) message["tool_calls"] = std::move(calls);
      whole["choices"] = choice("message", std::move(message), asks ? "tool_calls" : "stop");
      whole["usage"] = usage();
      return http("application/json", to_text(whole));
    }
    std::string events;
    const auto add = [&](Json choices, bool with_usage = false) {
      Json chunk = envelope("chat.completion.chunk", model, id);
      chunk["choices"] = std::move(choices);
      if (with_usage) chunk["usage"] = usage();
      events += "data: " + to_text(chunk) + "\n\n";
    };
    add(choice("delta", {{"role", "assistant"}, {"content", ""}}, nullptr));
    if (asks) {
      calls[0]["index"] = 0;
      add(choice("delta", {{"tool_calls", std::move(calls)}}, nullptr));
    } else {
      for (const char* piece : {"The", " answer", " is", " 5", ".", "", "", ""}) {
        add(choice("delta", {{"content", piece}}, nullptr));
      }
    }
    add(choice("delta", Json::object(), asks ? "tool_calls" : "stop"));
    add(Json::array(), true);
    return http("text/event-stream", events + "data: [DONE]\n\n");
  }

  void report() {
    fmt::print("agent_model: late {:.3f} turn {:.3f} {:.3f}\n",
               answers_ == 0 ? 0.0 : late_ms_ / static_cast<double>(answers_), percentile(turns_ms_, 50),
               percentile(turns_ms_, 99));
    std::fflush(stdout);
    late_ms_ = 0;
    answers_ = 0;
    turns_ms_.clear();
  }

  HttpHost host_;
  std::uint64_t requests_ = 0;
  std::unordered_map<int, std::uint64_t> waiting_;  // The last request of each connection.
  std::unordered_map<std::string, steady_clock::time_point> asked_;
  std::vector<double> turns_ms_;
  double late_ms_ = 0;
  std::uint64_t answers_ = 0;
};

}  // namespace
}  // namespace weft::bench

int main() { return weft::bench::Model().serve(); }
