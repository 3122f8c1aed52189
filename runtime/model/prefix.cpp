#include "runtime/model/prefix.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace weft::model {

Result<Prefix> Prefix::build(AgentSpec agent, const WireFormat& format) {
  WEFT_CHECK(format.dialect != nullptr, "a prefix is written in no dialect");
  std::vector<std::string> names;
  for (const ToolDeclaration& tool : agent.tools) names.push_back(tool.name);
  WEFT_RETURN_IF_ERROR(check_tools(names));
  Prefix prefix;
  for (std::string& name : names) {
    WEFT_TRY(std::string wire, wire_name(name));
    prefix.wire_to_tool_.emplace_back(std::move(wire), std::move(name));
  }
  std::ranges::sort(prefix.wire_to_tool_);
  std::ranges::sort(agent.tools, {}, [](const ToolDeclaration& tool) { return *wire_name(tool.name); });

  WEFT_TRY(std::string bytes, format.dialect->prefix(agent, format.features));
  prefix.hash_.update(bytes);
  prefix.digest_ = Sha256(prefix.hash_).finish();
  prefix.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  prefix.format_ = format;
  prefix.thinking_ = agent.thinking;
  return prefix;
}

std::optional<std::string> Prefix::tool_named(std::string_view wire) const {
  for (const auto& [name, tool] : wire_to_tool_) {
    if (name == wire) return tool;
  }
  return {};
}

bool is_same(const Prefix& one, const Prefix& other) {
  return &one == &other || (&one.dialect() == &other.dialect() && one.digest() == other.digest() &&
                            one.features() == other.features() && one.thinking() == other.thinking());
}

Conversation::Conversation(std::shared_ptr<const Prefix> prefix)
    : prefix_(std::move(prefix)), bytes_(prefix_->bytes()->size()), hash_(prefix_->hash()) {}

void Conversation::add_user(std::string_view text) { append(prefix_->dialect().user(*prefix_, place(), text)); }

void Conversation::add_turn(const Turn& turn) { append(prefix_->dialect().turn(*prefix_, place(), turn)); }

void Conversation::add_tool_results(std::span<const ToolResult> results) {
  append(prefix_->dialect().results(*prefix_, place(), results));
}

void Conversation::append(std::string bytes) {
  bytes_ += bytes.size();
  hash_.update(bytes);
  pieces_.push_back(std::make_shared<const std::string>(std::move(bytes)));
}

std::vector<std::shared_ptr<const std::string>> Conversation::body() const {
  std::vector<std::shared_ptr<const std::string>> out;
  out.reserve(pieces_.size() + 2);
  out.push_back(prefix_->bytes());
  out.insert(out.end(), pieces_.begin(), pieces_.end());
  out.push_back(prefix_->dialect().tail());
  return out;
}

Digest Conversation::digest() const {
  Sha256 whole(hash_);
  whole.update(*prefix_->dialect().tail());
  return whole.finish();
}

std::uint64_t Conversation::size() const { return bytes_ + prefix_->dialect().tail()->size(); }

}  // namespace weft::model
