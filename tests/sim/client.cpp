#include "tests/sim/client.h"

#include <httplib.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

namespace weft::sim {

Json Got::json() const {
  auto parsed = parse_untrusted(body);
  INFO(body);
  REQUIRE(parsed);
  return *parsed;
}

std::vector<Json> Got::events() const {
  std::vector<Json> events;
  std::size_t from = 0;
  for (std::size_t end = body.find("\n\n"); end != std::string::npos; end = body.find("\n\n", from)) {
    std::string line = body.substr(from, end - from);
    from = end + 2;
    if (!line.starts_with("data: ") || line == "data: [DONE]") continue;
    auto parsed = parse_untrusted(line.substr(6));
    INFO(line);
    REQUIRE(parsed);
    events.push_back(*parsed);
  }
  return events;
}

bool Got::done() const { return body.ends_with("data: [DONE]\n\n"); }

std::string Got::text() const {
  std::string text;
  for (const Json& event : events()) {
    if (event["choices"].empty()) continue;
    const Json& delta = event["choices"][0]["delta"];
    if (delta.contains("content") && delta["content"].is_string()) text += delta["content"].get<std::string>();
  }
  return text;
}

Json Got::usage() const {
  if (!body.starts_with("data:")) return json()["usage"];
  Json last;
  for (const Json& event : events()) {
    if (event.contains("usage") && !event["usage"].is_null()) last = event["usage"];
  }
  return last;
}

namespace {

std::string lines(workflows::Diagnostics& diagnostics) {
  std::string text;
  for (const auto& each : diagnostics.take()) text += workflows::to_text(each) + "\n";
  return text;
}

std::shared_ptr<const Script> read(std::string_view yaml) {
  if (yaml.empty()) return Script::echo();
  workflows::Diagnostics diagnostics("script.yaml");
  auto script = Script::read(yaml, diagnostics);
  if (script == nullptr) FAIL(lines(diagnostics));
  return script;
}

}  // namespace

Fixture::Fixture(std::string_view yaml, const ProviderOptions& options) {
  auto started = Provider::start(read(yaml), options);
  if (!started) FAIL(started.error().message);
  provider = *std::move(started);
}

Got Fixture::ask(const Ask& ask) const {
  httplib::Client client("127.0.0.1", provider->port());
  client.set_read_timeout(std::chrono::seconds(10));
  httplib::Request request;
  request.method = "POST";
  request.path = ask.path;
  request.headers = {{"Authorization", ask.key}, {"Content-Type", "application/json"}};
  request.body = ask.body;
  Got got;
  request.response_handler = [&](const httplib::Response& response) {
    got.status = response.status;
    for (const auto& [name, value] : response.headers) got.headers.emplace(name, value);
    return true;
  };
  request.content_receiver = [&](const char* bytes, std::size_t size, std::uint64_t, std::uint64_t) {
    got.body.append(bytes, size);
    return ask.on_bytes(std::string_view(bytes, size));
  };
  got.whole = static_cast<bool>(client.send(request));
  return got;
}

Got Fixture::ask(const Json& body) const {
  Ask whole;
  whole.body = to_text(body);
  return ask(whole);
}

Got Fixture::get(const std::string& path) const {
  httplib::Client client("127.0.0.1", provider->port());
  Got got;
  if (auto response = client.Get(path)) {
    got.whole = true;
    got.status = response->status;
    got.body = response->body;
  }
  return got;
}

bool Fixture::stats_reach(const std::function<bool(const Json&)>& wanted) const {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  httplib::Client client("127.0.0.1", provider->port());
  client.set_keep_alive(true);
  while (std::chrono::steady_clock::now() < end) {
    auto response = client.Get("/stats");
    if (response && wanted(*parse_untrusted(response->body))) return true;
    std::this_thread::yield();
  }
  return false;
}

Json message(std::string_view role, std::string_view text) { return {{"role", role}, {"content", text}}; }

Json chat(std::string_view user) {
  return {{"model", "deepseek-flash"},
          {"thinking", {{"type", "disabled"}}},
          {"messages", Json::array({message("user", user)})}};
}

Json streamed(Json body) {
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return body;
}

Json call(std::string_view id, std::string_view name, std::string_view arguments) {
  return {{"id", id}, {"type", "function"}, {"function", {{"name", name}, {"arguments", arguments}}}};
}

Json tool(std::string_view name) {
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", {{"type", "object"}}}}}};
}

std::string faults_of(std::string_view yaml) {
  workflows::Diagnostics diagnostics("script.yaml");
  auto script = Script::read(yaml, diagnostics);
  std::string said = lines(diagnostics);
  CHECK((script == nullptr) == !said.empty());
  return said;
}

}  // namespace weft::sim
