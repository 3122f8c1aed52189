// A provider under test and a plain HTTP client for it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "sim/provider.h"

namespace weft::sim {

struct Got {
  bool whole = false;  // The response came as its framing says.
  int status = 0;      // 0: not even a head.
  std::string body;
  std::multimap<std::string, std::string> headers;

  Json json() const;
  std::vector<Json> events() const;  // Of a stream, without `[DONE]`.
  bool done() const;                 // The stream's last line is `data: [DONE]`.
  std::string text() const;          // Joined, of a stream.
  Json usage() const;
};

struct Ask {
  std::string body;
  std::string key = "Bearer one";
  std::string path = "/v1/chat/completions";
  // Sees the body's bytes as they come; false leaves.
  std::function<bool(std::string_view)> on_bytes = [](std::string_view) { return true; };
};

class Fixture {
 public:
  // Refuses scripts with faults; without one the provider echoes.
  explicit Fixture(std::string_view yaml = {}, const ProviderOptions& options = {});
  ~Fixture() = default;

  Got ask(const Ask& ask) const;
  Got ask(const Json& body) const;
  Got get(const std::string& path) const;
  // Reads /stats until `wanted` holds, for five seconds at most; whether it did.
  bool stats_reach(const std::function<bool(const Json&)>& wanted) const;

  std::unique_ptr<Provider> provider;
};

// {"model": "deepseek-flash", "thinking": off, "messages": [user]}
Json chat(std::string_view user);
Json streamed(Json body);
Json message(std::string_view role, std::string_view text);
Json call(std::string_view id, std::string_view name, std::string_view arguments);
Json tool(std::string_view name);
// What the script's reader says; the lines of its diagnostics.
std::string faults_of(std::string_view yaml);

}  // namespace weft::sim
