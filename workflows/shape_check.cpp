// The check of values by a schema: the keywords of shape.cpp, number types given in place, everything bounded.
//
// valijson is not used: it takes nlohmann::json and not values that keep the order of their keys, matches `pattern` by
// the standard library's backtracking expressions, which overflow the stack on long texts, bounds neither depth nor
// work, and gives no number types.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/bytes.h"
#include "workflows/expression/evaluate.h"
#include "workflows/expression/functions.h"
#include "workflows/shape_rules.h"

namespace weft::workflows::shape {

namespace {

constexpr std::size_t kRefusalSteps = 16;  // A sentence costs far more than a step.
constexpr std::size_t kBytesPerStep = 64;
constexpr std::uint64_t kUnitsPerStep = 5;  // Of the budget around.
constexpr std::size_t kWriteSteps = 4;      // For a value that is written as JSON.

// Steps that comparing the value with another takes, or writing it.
std::size_t weight(const Json& value) {
  std::size_t steps = 1;
  if (value.is_string()) return steps + value.get_ref<const std::string&>().size() / kBytesPerStep;
  if (value.is_array()) {
    for (const Json& element : value.get_ref<const Json::array_t&>()) steps += weight(element);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>())
      steps += 1 + name.size() / kBytesPerStep + weight(member);
  }
  return steps;
}

std::string type_names(std::uint8_t types) {
  constexpr std::string_view kNames[] = {"null", "boolean", "integer", "number", "string", "a list", "an object"};
  std::string text;
  for (int i = 6; i >= 0; --i) {
    if (types & (1 << i)) text += (text.empty() ? "" : " or ") + std::string(kNames[i]);
  }
  return text;
}

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  if (!value.is_string()) return weft::to_text(value);
  std::string_view text = value.get_ref<const std::string&>();
  const bool cut = text.size() > kShownBytesMax;
  text = text.substr(0, kShownBytesMax);
  while (cut && !text.empty() && !is_utf8(text)) text.remove_suffix(1);
  return fmt::format("\"{}{}\"", printable(text), cut ? "…" : "");
}

}  // namespace

// One check of one value. Functions give false where the value is refused; `failure_` then says why.
class Rules::Check {
 public:
  Check(std::string_view what, Budget* budget) : what_(what), budget_(budget) {}

  bool value(const Rule& rule, Json& value);
  Error error() const;

 private:
  struct Part {
    const std::string* name = nullptr;  // Null: an element.
    std::size_t index = 0;
  };
  struct Failure {
    std::string at;
    std::string message;
    const Rule* closed = nullptr;  // That has no such field as `name`: the nearest is looked for once, at the end.
    std::string name;
  };

  bool refuse(std::string message, const Rule* closed = nullptr, const std::string& name = {}) {
    steps_ += kRefusalSteps + path_.size();
    failure_ = {where(), std::move(message), closed, name};
    return false;
  }
  bool exhaust(const char* limit, std::string message) {
    exhausted_ = true;
    limit_ = limit;
    return refuse(std::move(message));
  }
  bool spend(std::size_t steps) {
    steps_ += steps;
    if (budget_ != nullptr && !budget_->spend(steps * kUnitsPerStep)) return exhaust("cost", "the check was left off");
    if (steps_ <= kCheckStepsMax) return true;
    return exhaust("check_steps_max", fmt::format("the check takes more than {} steps", kCheckStepsMax));
  }
  bool by_rule(const Rule& rule, Json& value);
  bool type(const Rule& rule, Json& value);
  bool choice(const Rule& rule, Json& value);
  bool number(const Rule& rule, const Json& value);
  bool text(const Rule& rule, const std::string& value);
  bool list(const Rule& rule, Json& value);
  bool distinct(const Json& list);
  bool object(const Rule& rule, Json& value);
  bool member(const Rule& rule, const Rule* wanted, const std::string& name, Json& value);
  bool missing(const Rule& rule, const std::vector<bool>& seen, const Json& value);
  bool combined(const Rule& rule, Json& value);
  std::size_t fitting(const std::vector<const Rule*>& rules, Json& value, std::size_t enough);
  // Whether the value fits; where it does not, it is as it was.
  bool tried(const Rule& rule, Json& value);
  void change(Json& value, Json other);
  void change_back(std::size_t changes);
  static std::string step(const std::string& name);
  std::string where() const;

  const std::string_view what_;
  Budget* const budget_;
  std::vector<Part> path_;
  std::vector<std::pair<Json*, Json>> changes_;  // What numbers were before they were given their types.
  Failure failure_;
  std::string limit_;
  std::size_t steps_ = 0;
  std::size_t depth_ = 0;
  bool exhausted_ = false;
};

Error Rules::Check::error() const {
  if (budget_ != nullptr && budget_->over()) return budget_->error();
  std::string message = fmt::format("{}: {}", failure_.at, failure_.message);
  if (exhausted_) return resource_exhausted(std::move(message)).with("limit", limit_);
  if (failure_.closed != nullptr && failure_.name.size() <= kShownBytesMax) {
    std::vector<std::string> names;
    for (const auto& property : failure_.closed->properties) names.push_back(property.name);
    const std::string close = nearest(failure_.name, names);
    if (!close.empty()) message += fmt::format("; did you mean {}?", close);
  }
  return invalid_argument(std::move(message));
}

std::string Rules::Check::where() const {
  std::string text(what_);
  for (const Part& part : path_) text += part.name != nullptr ? step(*part.name) : fmt::format("[{}]", part.index);
  return text;
}

void Rules::Check::change(Json& value, Json other) {
  changes_.emplace_back(&value, std::exchange(value, std::move(other)));
}

void Rules::Check::change_back(std::size_t changes) {
  for (; changes_.size() > changes; changes_.pop_back()) *changes_.back().first = std::move(changes_.back().second);
}

bool Rules::Check::value(const Rule& rule, Json& value) {
  if (depth_ >= kCheckDepthMax) {
    return exhaust("check_depth_max", fmt::format("values and references are nested deeper than {}", kCheckDepthMax));
  }
  if (!spend(1)) return false;
  ++depth_;
  const bool good = by_rule(rule, value);
  --depth_;
  return good;
}

bool Rules::Check::by_rule(const Rule& rule, Json& value) {
  if (rule.reference) return this->value(*rule.reference, value);
  if (rule.nothing) return refuse(fmt::format("nothing may stand here, got {}", shown(value)));
  if (!type(rule, value) || !choice(rule, value)) return false;
  switch (value.type()) {
    case Json::value_t::object:
      if (!object(rule, value)) return false;
      break;
    case Json::value_t::array:
      if (!list(rule, value)) return false;
      break;
    case Json::value_t::string:
      if (!text(rule, value.get_ref<const std::string&>())) return false;
      break;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      if (!number(rule, value)) return false;
      break;
    default: break;
  }
  return combined(rule, value);
}

bool Rules::Check::type(const Rule& rule, Json& value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  constexpr std::int64_t kExactMax = std::int64_t{1} << 53;
  if (rule.types == 0) return true;
  std::uint8_t given = 0;
  switch (value.type()) {
    case Json::value_t::null: given = Rule::kNull; break;
    case Json::value_t::boolean: given = Rule::kBoolean; break;
    case Json::value_t::string: given = Rule::kString; break;
    case Json::value_t::array: given = Rule::kArray; break;
    case Json::value_t::object: given = Rule::kObject; break;
    case Json::value_t::number_unsigned:
    case Json::value_t::number_integer: {
      const bool fits =
          !value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
      if (fits && (rule.types & Rule::kInteger)) return true;
      if (!(rule.types & Rule::kNumber)) break;
      const std::int64_t integer = fits ? value.get<std::int64_t>() : INT64_MAX;
      if (integer > kExactMax || integer < -kExactMax) change(value, value.get<double>());
      return true;
    }
    case Json::value_t::number_float: {
      const double number = value.get<double>();
      const bool integral = number == std::trunc(number) && number < kTwoTo63 && number >= -kTwoTo63;
      if (integral && (rule.types & Rule::kInteger)) {
        change(value, static_cast<std::int64_t>(number));
        return true;
      }
      given = std::isfinite(number) ? Rule::kNumber : 0;
      break;
    }
    default: break;
  }
  if (rule.types & given) return true;
  return refuse(fmt::format("expected {}, got {}", type_names(rule.types), shown(value)));
}

bool Rules::Check::choice(const Rule& rule, Json& value) {
  if (!rule.constant && !rule.values) return true;
  const std::size_t each = value.is_structured() || value.is_string() ? weight(value) : 1;
  if (!spend(each)) return false;
  if (rule.constant) {
    if (!(value == *rule.constant))
      return refuse(fmt::format("expected {}, got {}", shown(*rule.constant), shown(value)));
    if (value.type() != rule.constant->type() || value.is_structured()) change(value, *rule.constant);
  }
  if (!rule.values) return true;
  if (!spend(rule.values->size() * each / 4)) return false;
  const auto found = std::find(rule.values->begin(), rule.values->end(), value);
  if (found == rule.values->end()) {
    constexpr std::size_t kNamedMax = 20;
    std::string names;
    for (std::size_t i = 0; i < rule.values->size() && i < kNamedMax; ++i) {
      names += (i ? ", " : "") + shown((*rule.values)[i]);
    }
    return refuse(
        fmt::format("expected one of {}{}, got {}", names, rule.values->size() > kNamedMax ? ", …" : "", shown(value)));
  }
  if (value.type() != found->type()) change(value, *found);
  return true;
}

bool Rules::Check::number(const Rule& rule, const Json& value) {
  const double number = value.get<double>();
  const auto out_of = [&](const char* relation, double bound) {
    return refuse(fmt::format("expected a number {} {}, got {}", relation, weft::to_text(Json(bound)), shown(value)));
  };
  if (rule.minimum && number < *rule.minimum) return out_of("of at least", *rule.minimum);
  if (rule.maximum && number > *rule.maximum) return out_of("of at most", *rule.maximum);
  if (rule.above && number <= *rule.above) return out_of("above", *rule.above);
  if (rule.below && number >= *rule.below) return out_of("below", *rule.below);
  if (rule.multiple) {
    const double times = number / *rule.multiple;
    // 0.3 is a multiple of 0.1, though not to the last bit.
    if (std::fabs(times - std::round(times)) > 1e-9 * std::max(1.0, std::fabs(times))) {
      return out_of("that is a multiple of", *rule.multiple);
    }
  }
  return true;
}

bool Rules::Check::text(const Rule& rule, const std::string& value) {
  if (rule.length_min || rule.length_max) {
    if (!spend(value.size() / kBytesPerStep)) return false;
    const std::size_t length = expression::code_points(value);
    if (rule.length_min && length < *rule.length_min) {
      return refuse(fmt::format("expected at least {} characters, got {}", *rule.length_min, length));
    }
    if (rule.length_max && length > *rule.length_max) {
      return refuse(fmt::format("expected at most {} characters, got {}", *rule.length_max, length));
    }
  }
  if (rule.pattern) {
    if (!spend(rule.pattern->cost(value.size()) / kUnitsPerStep + 1)) return false;
    if (!rule.pattern->found_in(value)) {
      return refuse(fmt::format("expected a text that matches {}, got {}", shown(Json(rule.pattern->text())),
                                shown(Json(value))));
    }
  }
  return true;
}

bool Rules::Check::list(const Rule& rule, Json& value) {
  if (rule.items_min && value.size() < *rule.items_min) {
    return refuse(fmt::format("expected at least {} elements, got {}", *rule.items_min, value.size()));
  }
  if (rule.items_max && value.size() > *rule.items_max) {
    return refuse(fmt::format("expected at most {} elements, got {}", *rule.items_max, value.size()));
  }
  for (std::size_t i = 0; rule.items && i < value.size(); ++i) {
    path_.push_back({nullptr, i});
    if (!this->value(*rule.items, value[i])) return false;
    path_.pop_back();
  }
  return !rule.unique || distinct(value);
}

bool Rules::Check::distinct(const Json& list) {
  std::unordered_map<std::string, std::size_t> seen;  // By what is written: equal values are written alike.
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!spend(kWriteSteps * weight(list[i]))) return false;
    const auto [first, is_new] = seen.emplace(weft::to_text(list[i]), i);
    if (!is_new) return refuse(fmt::format("elements {} and {} are equal, and each may stand once", first->second, i));
  }
  return true;
}

std::string Rules::Check::step(const std::string& name) {
  const bool plain =
      !name.empty() && name.size() <= kShownBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  return plain ? "." + name : fmt::format("[{}]", shown(Json(name)));
}

bool Rules::Check::member(const Rule& rule, const Rule* wanted, const std::string& name, Json& value) {
  if (!wanted && rule.closed) return refuse("there is no such field", &rule, name);
  if (!wanted) wanted = rule.additional;
  return !wanted || this->value(*wanted, value);
}

bool Rules::Check::object(const Rule& rule, Json& value) {
  if (rule.members_min && value.size() < *rule.members_min) {
    return refuse(fmt::format("expected at least {} fields, got {}", *rule.members_min, value.size()));
  }
  if (rule.members_max && value.size() > *rule.members_max) {
    return refuse(fmt::format("expected at most {} fields, got {}", *rule.members_max, value.size()));
  }
  std::vector<bool> seen(rule.properties.size(), false);
  for (auto& [name, field] : value.get_ref<Json::object_t&>()) {
    if (!spend(rule.properties.size() / 4)) return false;
    const Rule* wanted = nullptr;
    bool absent = false;  // T? is absent or null, one thing.
    for (std::size_t i = 0; i < rule.properties.size() && !wanted; ++i) {
      if (rule.properties[i].name != name) continue;
      wanted = rule.properties[i].rule;
      absent = field.is_null() && !rule.properties[i].required;
      seen[i] = true;
    }
    path_.push_back({&name, 0});
    if (!absent && !member(rule, wanted, name, field)) return false;
    path_.pop_back();
  }
  return missing(rule, seen, value);
}

bool Rules::Check::missing(const Rule& rule, const std::vector<bool>& seen, const Json& value) {
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i] || !rule.properties[i].required) continue;
    Json null;
    if (this->value(*rule.properties[i].rule, null)) continue;
    if (exhausted_) return false;
    return refuse(fmt::format("the field `{}` is missing", rule.properties[i].name));
  }
  for (const auto& name : rule.names) {
    if (!spend(value.size() / 4)) return false;
    if (!value.contains(name)) return refuse(fmt::format("the field `{}` is missing", name));
  }
  return true;
}

bool Rules::Check::tried(const Rule& rule, Json& value) {
  const std::size_t parts = path_.size();
  const std::size_t depth = depth_;
  const std::size_t changes = changes_.size();
  if (this->value(rule, value)) return true;
  path_.resize(parts);
  depth_ = depth;
  change_back(changes);
  return false;
}

// How many fit; the nearest failure is the one that came farthest.
std::size_t Rules::Check::fitting(const std::vector<const Rule*>& rules, Json& value, std::size_t enough) {
  std::size_t fit = 0;
  Failure nearest_failure;
  for (const Rule* part : rules) {
    if (fit >= enough || exhausted_) break;
    if (tried(*part, value)) {
      ++fit;
    } else if (!exhausted_ && failure_.at.size() > nearest_failure.at.size()) {
      nearest_failure = std::move(failure_);
    }
  }
  if (fit > 0 || exhausted_) return fit;
  failure_ = std::move(nearest_failure);
  if (rules.size() > 1) {
    failure_.message = fmt::format("fits none of {} forms; the nearest says: {}", rules.size(), failure_.message);
  }
  return 0;
}

bool Rules::Check::combined(const Rule& rule, Json& value) {
  for (const Rule* part : rule.all_of) {
    if (!this->value(*part, value)) return false;
  }
  if (!rule.any_of.empty() && fitting(rule.any_of, value, 1) == 0) return false;
  if (!rule.one_of.empty()) {
    const std::size_t fit = fitting(rule.one_of, value, 2);
    if (exhausted_ || fit == 0) return false;
    if (fit > 1) return refuse("fits more than one of the forms of which it may fit one");
  }
  if (rule.excluded) {
    const std::size_t changes = changes_.size();
    const bool fits = tried(*rule.excluded, value);
    change_back(changes);
    if (exhausted_) return false;
    if (fits) return refuse(fmt::format("this form is excluded, got {}", shown(value)));
  }
  return !exhausted_;
}

Status Rules::check(Json& value, std::string_view what, Budget* budget) const {
  Check check(what, budget);
  if (!check.value(*set_->first, value)) return check.error();
  return {};
}

}  // namespace weft::workflows::shape
