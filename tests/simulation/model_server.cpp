#include "model_server.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "verdict.h"

namespace weft::simulation {
namespace {

using Step = Network::Step;

Step head(Duration delay, int status, const std::string& request_id, std::string_view retry_after = {}) {
  Step step;
  step.kind = Step::Kind::kHead;
  step.delay = delay;
  step.head.status = status;
  step.head.headers = {{"x-request-id", request_id}};
  if (!retry_after.empty()) step.head.headers.emplace_back("retry-after", retry_after);
  return step;
}

Step bytes(Duration delay, std::string text) {
  Step step;
  step.delay = delay;
  step.bytes = std::move(text);
  return step;
}

Step whole(Duration delay) {
  Step step;
  step.kind = Step::Kind::kEnd;
  step.delay = delay;
  step.end.ok = true;
  step.end.sent = true;
  return step;
}

Step gone(Duration delay, HttpFault fault, std::string message) {
  Step step = whole(delay);
  step.end.ok = false;
  step.end.fault = fault;
  step.end.sent = fault != HttpFault::kConnect;
  step.end.message = std::move(message);
  return step;
}

std::string event(const Json& value) { return "data: " + to_text(value) + "\n\n"; }

}  // namespace

std::vector<Step> ModelServer::request(Life life, const HttpRequest& request) {
  Random& random = schedule_.random;
  std::string body;
  for (const auto& part : request.body) body += *part;
  const std::string digest(view(sha256(body)));
  const std::string request_id = fmt::format("req-{}", ++requests_);
  books_.model_asked(life, digest);
  schedule_.note(body);

  const auto wait = [&](std::int64_t high) { return schedule_.between(100, high); };
  const bool refused = random.percent(faults_.refused);
  const bool fails = random.percent(faults_.broken);
  const bool late = random.percent(faults_.late);
  const Duration first = late ? wait(400'000'000) : wait(3'000'000);
  if (refused) {
    constexpr int kStatuses[] = {429, 500, 503};
    const int status = kStatuses[random.below(3)];
    if (say_) say_(fmt::format("  model {} answers {}", request_id, status));
    return {head(first, status, request_id, status == 429 ? "2" : ""),
            bytes(Duration{10}, R"({"error":{"message":"not now","type":"server_error"}})"), whole(Duration{10})};
  }
  const std::uint32_t way = fails ? random.below(6) : 6;
  if (way == 0) return {gone(wait(20'000), HttpFault::kConnect, "connection refused")};

  const auto parsed = parse_untrusted(body);
  if (!parsed) broken(Promise::kOwnCheck, "a request is no JSON: " + parsed.error().message);
  const Reply reply = make_up(*parsed);
  model::Usage usage;
  const std::uint64_t input = body.size() / 4;
  usage.input_hit = random.below(static_cast<std::uint32_t>(input));
  usage.input_miss = input - *usage.input_hit;
  usage.output = 5 + random.below(50);
  books_.model_counted(digest, request_id, usage);
  if (say_)
    say_(fmt::format("  model {} counts {}+{} tokens in life {}{}", request_id, input, *usage.output, life,
                     way < 6 ? fmt::format(", and fails in way {}", way) : ""));
  if (way == 1) return {gone(first, HttpFault::kReset, "the connection was reset")};  // The reply is lost.
  if (way == 2) return {};                                                            // Silence.

  std::vector<Step> steps{head(first, 200, request_id)};
  for (std::string& chunk : chunks(reply, usage))
    steps.push_back(bytes(wait(late ? 20'000'000 : 400'000), std::move(chunk)));
  steps.push_back(whole(wait(2'000)));
  if (way == 6) return steps;
  // Something of the answer came in each of these, so it is billed.
  steps.resize(2 + random.below(static_cast<std::uint32_t>(steps.size()) - 3));
  if (way == 3) steps.push_back(gone(wait(50'000), HttpFault::kReset, "the connection was reset"));
  if (way == 4) steps.push_back(whole(wait(50'000)));  // The stream ends before its time.
  if (way == 5 && random.one_in(2)) {                  // Otherwise: silence within the stream.
    steps.push_back(bytes(wait(50'000), event({{"error", {{"message", "overloaded"}, {"code", 503}}}})));
    steps.push_back(whole(wait(50'000)));
  }
  return steps;
}

ModelServer::Reply ModelServer::make_up(const Json& body) {
  Random& random = schedule_.random;
  Reply reply;
  const auto tools = body.find("tools");
  std::uint32_t said = 0;
  for (const Json& message : body.at("messages")) said += message.at("role") == "assistant" ? 1 : 0;
  if (tools != body.end() && !tools->empty() && said < 4 && random.percent(said == 0 ? 85 : 50)) {
    for (std::uint32_t i = 1 + random.below(3); i > 0; --i) {
      const auto& tool = tools->at(random.below(static_cast<std::uint32_t>(tools->size())));
      // Few different arguments, so that a model often asks for the same again; now and then some that do not fit.
      reply.calls.emplace_back(tool.at("function").at("name").get<std::string>(),
                               random.one_in(25) ? R"({"y":1})" : fmt::format("{{\"x\":{}}}", random.below(2)));
    }
  }
  if (reply.calls.empty() || random.one_in(3)) reply.text = fmt::format("answer {}", random.below(100));
  return reply;
}

std::vector<std::string> ModelServer::chunks(const Reply& reply, const model::Usage& usage) {
  std::vector<std::string> out;
  const auto delta = [&](Json value, const char* reason = nullptr) {
    Json choice = {{"index", 0}, {"delta", std::move(value)}, {"finish_reason", nullptr}};
    if (reason != nullptr) choice["finish_reason"] = reason;
    out.push_back(event({{"model", "deepseek-flash"}, {"choices", Json::array({std::move(choice)})}}));
  };
  delta({{"role", "assistant"}, {"reasoning_content", "hm"}});
  for (std::size_t at = 0; at < reply.text.size(); at += 6) delta({{"content", reply.text.substr(at, 6)}});
  for (std::size_t i = 0; i < reply.calls.size(); ++i) {
    const auto& [name, arguments] = reply.calls[i];
    delta({{"tool_calls", Json::array({{{"index", i},
                                        {"id", fmt::format("call_{}", i)},
                                        {"type", "function"},
                                        {"function", {{"name", name}, {"arguments", arguments}}}}})}});
  }
  delta(Json::object(), reply.calls.empty() ? "stop" : "tool_calls");
  out.push_back(event({{"choices", Json::array()},
                       {"usage",
                        {{"prompt_tokens", *usage.input_hit + *usage.input_miss},
                         {"prompt_cache_hit_tokens", *usage.input_hit},
                         {"prompt_cache_miss_tokens", *usage.input_miss},
                         {"completion_tokens", *usage.output}}}}));
  out.push_back("data: [DONE]\n\n");
  return out;
}

}  // namespace weft::simulation
