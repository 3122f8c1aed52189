#include "runtime/engine/config_keys.h"

#include <algorithm>
#include <iterator>

#include "workflows/yaml.h"

namespace weft::engine {
namespace {

constexpr std::size_t kKeysShownMax = 20;

// 0 means "always", so it allows more than any number.
bool raises_crashes(const Config& read, const Config& otherwise) {
  return otherwise.crashes_max != 0 && (read.crashes_max == 0 || read.crashes_max > otherwise.crashes_max);
}
bool raises_drain(const Config& read, const Config& otherwise) { return read.drain > otherwise.drain; }
bool raises_decide(const Config& read, const Config& otherwise) {
  return read.limits.decide_max > otherwise.limits.decide_max;
}
bool raises_work(const Config& read, const Config& otherwise) {
  return read.limits.runs_at_work_max > otherwise.limits.runs_at_work_max;
}
bool raises_queue(const Config& read, const Config& otherwise) {
  return read.limits.runs_queued_max > otherwise.limits.runs_queued_max;
}
bool raises_calls(const Config& read, const Config& otherwise) {
  return read.limits.model_calls_max > otherwise.limits.model_calls_max;
}
bool raises_run_bytes(const Config& read, const Config& otherwise) {
  return read.limits.run_bytes_max > otherwise.limits.run_bytes_max;
}
// Without the file no value of a label is limited.
bool raises_nothing(const Config&, const Config&) { return false; }

constexpr ConfigKey kKeys[] = {
    {"store"},
    {"listen"},
    {"http"},
    {"tools.fs.root"},
    {"policy.secrets"},
    {"providers.*.kind"},
    {"providers.*.base_url"},
    {"providers.*.key_env"},
    {"providers.*.thinking_switch"},
    {"providers.*.reasoning_replay"},
    {"providers.*.user_id"},
    {"providers.*.in_flight_max"},
    {"providers.*.requests_per_minute"},
    {"providers.*.tokens_per_minute"},
    {"models.*.provider"},
    {"models.*.wire"},
    {"models.*.context"},
    {"models.*.max_output"},
    {"retention.default"},
    {"retention.workflows.*"},
    {"limits.drain", Trust::kLowerOnly, raises_drain},
    {"limits.decide_max", Trust::kLowerOnly, raises_decide},
    {"limits.crashes_max", Trust::kLowerOnly, raises_crashes},
    {"limits.runs_at_work_max", Trust::kLowerOnly, raises_work},
    {"limits.runs_queued_max", Trust::kLowerOnly, raises_queue},
    {"limits.model_calls_max", Trust::kLowerOnly, raises_calls},
    {"limits.run_bytes_max", Trust::kLowerOnly, raises_run_bytes},
    {"limits.fair_by"},
    {"limits.by_label.*.runs_at_work_max", Trust::kLowerOnly, raises_nothing},
    {"limits.by_label.*.model_calls_max", Trust::kLowerOnly, raises_nothing},
    {"limits.by_label.*.model_calls_per_minute", Trust::kLowerOnly, raises_nothing},
    {"limits.by_label.*.tokens_per_minute", Trust::kLowerOnly, raises_nothing},
};

// The next part of a path, which is cut off.
std::string_view take_part(std::string_view& path) {
  const std::size_t dot = std::min(path.find('.'), path.size());
  const std::string_view part = path.substr(0, dot);
  path.remove_prefix(std::min(dot + 1, path.size()));
  return part;
}

// How the parts of a key stand to a row of the table.
enum class Fit : std::uint8_t { kNone, kAbove, kRow };
Fit fit(std::span<const std::string> parts, std::string_view row) {
  for (const std::string& part : parts) {
    if (row.empty()) return Fit::kNone;
    const std::string_view wanted = take_part(row);
    if (wanted != "*" && wanted != part) return Fit::kNone;
  }
  return row.empty() ? Fit::kRow : Fit::kAbove;
}

const ConfigKey* row_of(std::span<const std::string> parts) {
  const auto* found =
      std::ranges::find_if(kKeys, [&](const ConfigKey& key) { return fit(parts, key.path) == Fit::kRow; });
  return found == std::end(kKeys) ? nullptr : found;
}

bool is_above_rows(std::span<const std::string> parts) {
  return std::ranges::any_of(kKeys, [&](const ConfigKey& key) { return fit(parts, key.path) == Fit::kAbove; });
}

std::string joined(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ".") + part;
  return text;
}

class Search {
 public:
  explicit Search(const Config& read) : read_(read) {}

  // A name that a file chose may hold dots, so keys are compared part by part.
  void look_at(const yaml::Node& map) {
    for (const yaml::Node::Member& member : map.members) {
      parts_.push_back(member.key);
      if (const ConfigKey* row = row_of(parts_)) {
        const bool lowers = row->trust == Trust::kLowerOnly && !row->raises(read_, otherwise_);
        if (!lowers) add();
      } else if (member.value->is_map() && is_above_rows(parts_) && !names_something(*member.value)) {
        look_at(*member.value);
      } else {
        add();
      }
      parts_.pop_back();
    }
  }

  std::vector<std::string> take() && { return std::move(found_); }

 private:
  // An empty map is no key and yet says something: a provider that is named replaces the catalog's.
  bool names_something(const yaml::Node& map) const { return map.members.empty() && parts_.front() != "limits"; }

  void add() {
    if (found_.size() < kKeysShownMax) found_.push_back(joined(parts_));
  }

  const Config& read_;
  const Config otherwise_;
  std::vector<std::string> parts_;
  std::vector<std::string> found_;
};

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

const ConfigKey* find_config_key(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) parts.emplace_back(take_part(path));
  return row_of(parts);
}

std::vector<std::string> keys_that_need_trust(std::string_view text, const Config& read) {
  workflows::Diagnostics ignored("weft.yaml");
  const yaml::NodePtr root = yaml::read(text, ignored);
  if (!root || !root->is_map()) return {};
  Search search(read);
  search.look_at(*root);
  return std::move(search).take();
}

}  // namespace weft::engine
