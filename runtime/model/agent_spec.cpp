#include "runtime/model/agent_spec.h"

#include <fmt/format.h>

#include <map>

#include "base/bytes.h"

namespace weft::model {
namespace {

constexpr std::size_t kWireNameBytesMax = 64;
constexpr std::size_t kToolsMax = 128;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<std::string> wire_name(std::string_view tool) {
  const auto refuse = [&](std::string_view reason) {
    return invalid_argument(fmt::format("a tool cannot be named \"{}\": {}", printable(tool), reason));
  };
  if (tool.empty() || !is_lower(tool.front())) return refuse("a name begins with a letter from a to z");
  if (tool.back() == '.') return refuse("a name does not end with a dot");
  std::string wire;
  int dots = 0;
  for (const char c : tool) {
    if (c == '.') {
      ++dots;
      wire += "__";
    } else if (is_lower(c) || is_digit(c) || c == '_') {
      wire += c;
    } else {
      return refuse("it may hold only a to z, 0 to 9, _ and one dot");
    }
  }
  if (dots > 1) return refuse("it may hold only one dot");
  if (tool.contains("__")) return refuse("\"__\" stands for the dot on the wire");
  if (wire.size() > kWireNameBytesMax) {
    return refuse(fmt::format("providers take at most {} bytes, of which the dot takes two", kWireNameBytesMax));
  }
  return wire;
}

Status check_tools(const std::vector<std::string>& tools) {
  if (tools.size() > kToolsMax) {
    return invalid_argument(fmt::format("an agent has {} tools; providers take at most {}", tools.size(), kToolsMax));
  }
  std::map<std::string, std::string> seen;
  for (const std::string& tool : tools) {
    WEFT_TRY(const std::string wire, wire_name(tool));
    const auto [other, added] = seen.emplace(wire, tool);
    if (added) continue;
    if (other->second == tool) return invalid_argument(fmt::format("the tool \"{}\" is given twice", tool));
    return invalid_argument(
        fmt::format("the tools \"{}\" and \"{}\" have the same name on the wire, \"{}\"", other->second, tool, wire));
  }
  return {};
}

}  // namespace weft::model
