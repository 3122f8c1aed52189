// The check of values by a schema: the keywords of shape.cpp, number types given in place, everything bounded.
//
// valijson is not used: it takes nlohmann::json and not values that keep the order of their keys, matches `pattern` by
// the standard library's backtracking expressions, which overflow the stack on long texts, bounds neither depth nor
// work, and gives no number types.
#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/bytes.h"
#include "workflows/expression_evaluate.h"
#include "workflows/expression_functions.h"
#include "workflows/shape_schema.h"

namespace weft::workflows::shape {

struct Rules::Rule {
  enum Types : std::uint8_t {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,
    kNumber = 8,
    kString = 16,
    kArray = 32,
    kObject = 64
  };
  struct Property {
    std::string name;
    const Rule* rule = nullptr;
    bool required = false;
  };

  std::uint8_t types = 0;  // 0: any.
  bool nothing = false;    // The schema `false`.
  const Rule* reference = nullptr;
  const Json* values = nullptr;
  const Json* constant = nullptr;
  std::vector<Property> properties;
  std::vector<std::string> names;  // Required and no property.
  const Rule* additional = nullptr;
  bool closed = false;
  const Rule* items = nullptr;
  bool unique = false;
  std::optional<std::uint64_t> length_min, length_max, items_min, items_max, members_min, members_max;
  std::optional<double> minimum, maximum, above, below, multiple;
  std::shared_ptr<const re2::RE2> pattern;
  std::vector<const Rule*> any_of, one_of, all_of;
  const Rule* excluded = nullptr;
};

struct Rules::Set {
  std::map<const Json*, std::unique_ptr<Rule>> rules;  // By identity; never iterated.
  const Json* root = nullptr;
  const Rule* first = nullptr;

  std::vector<std::pair<const Json*, Rule*>> open;  // Still to be filled.

  const Rule* compile(const Json& schema);
  void compile_open();
  void compile_into(const Json& schema, Rule& rule);
  void compile_object(const Json& schema, Rule& rule);
  std::vector<const Rule*> compile_all(const Json& schema, const char* keyword);
};

namespace {

constexpr std::size_t kRefusalSteps = 16;  // A sentence costs far more than a step.
constexpr std::size_t kBytesPerStep = 64;

// Steps that comparing the value with another takes, beside one: about.
std::size_t weight(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().size() / kBytesPerStep;
  return value.is_structured() ? 4 * value.size() : 0;
}

std::uint8_t type_bit(const std::string& name) {
  constexpr std::pair<std::string_view, int> kBits[] = {{"null", 1},    {"boolean", 2}, {"integer", 4}, {"number", 8},
                                                        {"string", 16}, {"array", 32},  {"object", 64}};
  for (const auto& [known, bit] : kBits) {
    if (name == known) return static_cast<std::uint8_t>(bit);
  }
  return 0;
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

template <class T>
std::optional<T> number_at(const Json& schema, const char* keyword) {
  const auto found = schema.find(keyword);
  if (found == schema.end()) return std::nullopt;
  return found->get<T>();
}

}  // namespace

const Rules::Rule* Rules::Set::compile(const Json& schema) {
  auto& slot = rules[&schema];
  if (slot) return slot.get();
  slot = std::make_unique<Rule>();
  // Later, and not from here: references can make a chain as long as the file.
  open.emplace_back(&schema, slot.get());
  return slot.get();
}

void Rules::Set::compile_open() {
  while (!open.empty()) {
    const auto [schema, rule] = open.back();
    open.pop_back();
    if (schema->is_boolean()) {
      rule->nothing = !schema->get<bool>();
    } else {
      compile_into(*schema, *rule);
    }
  }
}

std::vector<const Rules::Rule*> Rules::Set::compile_all(const Json& schema, const char* keyword) {
  std::vector<const Rule*> result;
  if (const auto parts = schema.find(keyword); parts != schema.end()) {
    for (const auto& part : *parts) result.push_back(compile(part));
  }
  return result;
}

void Rules::Set::compile_into(const Json& schema, Rule& rule) {
  if (const auto reference = schema.find("$ref"); reference != schema.end()) {
    if (const Json* target = resolve(*root, reference->get_ref<const std::string&>()))
      rule.reference = compile(*target);
    return;
  }
  if (const auto type = schema.find("type"); type != schema.end()) {
    if (type->is_string()) rule.types = type_bit(type->get_ref<const std::string&>());
    if (type->is_array()) {
      for (const auto& name : *type) rule.types |= type_bit(name.get_ref<const std::string&>());
    }
  }
  if (const auto values = schema.find("enum"); values != schema.end()) rule.values = &*values;
  if (const auto value = schema.find("const"); value != schema.end()) rule.constant = &*value;
  rule.length_min = number_at<std::uint64_t>(schema, "minLength");
  rule.length_max = number_at<std::uint64_t>(schema, "maxLength");
  rule.items_min = number_at<std::uint64_t>(schema, "minItems");
  rule.items_max = number_at<std::uint64_t>(schema, "maxItems");
  rule.members_min = number_at<std::uint64_t>(schema, "minProperties");
  rule.members_max = number_at<std::uint64_t>(schema, "maxProperties");
  rule.minimum = number_at<double>(schema, "minimum");
  rule.maximum = number_at<double>(schema, "maximum");
  rule.above = number_at<double>(schema, "exclusiveMinimum");
  rule.below = number_at<double>(schema, "exclusiveMaximum");
  rule.multiple = number_at<double>(schema, "multipleOf");
  rule.unique = number_at<bool>(schema, "uniqueItems").value_or(false);
  if (const auto pattern = schema.find("pattern"); pattern != schema.end()) {
    std::string why;
    rule.pattern = expression::compile_pattern(pattern->get_ref<const std::string&>(), why);
  }
  if (const auto items = schema.find("items"); items != schema.end()) rule.items = compile(*items);
  if (const auto excluded = schema.find("not"); excluded != schema.end()) rule.excluded = compile(*excluded);
  rule.any_of = compile_all(schema, "anyOf");
  rule.one_of = compile_all(schema, "oneOf");
  rule.all_of = compile_all(schema, "allOf");
  compile_object(schema, rule);
}

void Rules::Set::compile_object(const Json& schema, Rule& rule) {
  if (const auto properties = schema.find("properties"); properties != schema.end()) {
    for (const auto& [name, property] : properties->items())
      rule.properties.push_back({name, compile(property), false});
  }
  if (const auto required = schema.find("required"); required != schema.end()) {
    for (const auto& name : *required) {
      const auto property = std::find_if(rule.properties.begin(), rule.properties.end(), [&](const Rule::Property& p) {
        return p.name == name.get_ref<const std::string&>();
      });
      if (property != rule.properties.end()) {
        property->required = true;
      } else {
        rule.names.push_back(name.get<std::string>());
      }
    }
  }
  if (const auto additional = schema.find("additionalProperties"); additional != schema.end()) {
    rule.closed = *additional == Json(false);
    if (additional->is_object()) rule.additional = compile(*additional);
  }
}

// One check of one value. Functions give false where the value is refused; `failure` and `path` then say why.
class Rules::Check {
 public:
  explicit Check(std::string_view what) : path_(what) {}

  bool value(const Rule& rule, Json& value);
  Error error() const {
    if (exhausted_) {
      return resource_exhausted(fmt::format("{}: {}", failed_at_, failure_)).with("limit", limit_);
    }
    return invalid_argument(fmt::format("{}: {}", failed_at_, failure_));
  }

 private:
  bool refuse(std::string message) {
    steps_ += kRefusalSteps;
    failure_ = std::move(message);
    failed_at_ = path_;
    return false;
  }
  bool exhaust(const char* limit, std::string message) {
    exhausted_ = true;
    limit_ = limit;
    return refuse(std::move(message));
  }
  bool spend(std::size_t steps) {
    steps_ += steps;
    if (steps_ <= kCheckStepsMax) return true;
    return exhaust("check_steps_max", fmt::format("the check takes more than {} steps", kCheckStepsMax));
  }
  bool by_rule(const Rule& rule, Json& value);
  bool type(const Rule& rule, Json& value);
  bool choice(const Rule& rule, Json& value);
  bool number(const Rule& rule, const Json& value);
  bool text(const Rule& rule, const std::string& value);
  bool list(const Rule& rule, Json& value);
  bool object(const Rule& rule, Json& value);
  bool member(const Rule& rule, const Rule* wanted, const std::string& name, Json& value);
  bool missing(const Rule& rule, const std::vector<bool>& seen, const Json& value);
  bool combined(const Rule& rule, Json& value);
  std::string step(const std::string& name) const;

  std::string path_;
  std::string failure_;
  std::string failed_at_;
  std::string limit_;
  std::size_t steps_ = 0;
  std::size_t depth_ = 0;
  bool exhausted_ = false;
};

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
      if (integer > kExactMax || integer < -kExactMax) value = value.get<double>();
      return true;
    }
    case Json::value_t::number_float: {
      const double number = value.get<double>();
      const bool integral = number == std::trunc(number) && number < kTwoTo63 && number >= -kTwoTo63;
      if (integral && (rule.types & Rule::kInteger)) {
        value = static_cast<std::int64_t>(number);
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
  if (rule.constant) {
    if (!(value == *rule.constant))
      return refuse(fmt::format("expected {}, got {}", shown(*rule.constant), shown(value)));
    value = *rule.constant;
  }
  if (!rule.values) return true;
  if (!spend(rule.values->size() / 4)) return false;
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
  if (value.type() != found->type()) value = *found;
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
    const std::size_t length = expression::code_points(value);
    if (rule.length_min && length < *rule.length_min) {
      return refuse(fmt::format("expected at least {} characters, got {}", *rule.length_min, length));
    }
    if (rule.length_max && length > *rule.length_max) {
      return refuse(fmt::format("expected at most {} characters, got {}", *rule.length_max, length));
    }
  }
  if (rule.pattern) {
    if (!spend(value.size() / 16 * expression::pattern_weight(*rule.pattern))) return false;
    if (!re2::RE2::PartialMatch(value, *rule.pattern)) {
      return refuse(fmt::format("expected a text that matches {}, got {}", shown(Json(rule.pattern->pattern())),
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
  const std::size_t path_size = path_.size();
  for (std::size_t i = 0; rule.items && i < value.size(); ++i) {
    path_ += fmt::format("[{}]", i);
    if (!this->value(*rule.items, value[i])) return false;
    path_.resize(path_size);
  }
  for (std::size_t i = 0; rule.unique && i < value.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!spend(1 + std::min(weight(value[i]), weight(value[j])))) return false;
      if (value[i] == value[j])
        return refuse(fmt::format("elements {} and {} are equal, and each may stand once", j, i));
    }
  }
  return true;
}

std::string Rules::Check::step(const std::string& name) const {
  const bool plain =
      !name.empty() && name.size() <= kShownBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
  return plain ? "." + name : fmt::format("[{}]", shown(Json(name)));
}

bool Rules::Check::member(const Rule& rule, const Rule* wanted, const std::string& name, Json& value) {
  if (!wanted && rule.closed) {
    std::vector<std::string> names;
    for (const auto& property : rule.properties) names.push_back(property.name);
    const std::string close = name.size() <= kShownBytesMax ? nearest(name, names) : "";
    return refuse(close.empty() ? "there is no such field"
                                : fmt::format("there is no such field; did you mean {}?", close));
  }
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
  const std::size_t path_size = path_.size();
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
    path_ += step(name);
    if (!absent && !member(rule, wanted, name, field)) return false;
    path_.resize(path_size);
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

bool Rules::Check::combined(const Rule& rule, Json& value) {
  const std::size_t path_size = path_.size();
  const std::size_t depth = depth_;
  // How many fit; the nearest failure is the one that came farthest.
  const auto try_all = [&](const std::vector<const Rule*>& rules, std::size_t enough) {
    std::size_t fitting = 0;
    std::string nearest_failure, nearest_at;
    for (const Rule* part : rules) {
      if (fitting >= enough || exhausted_) break;
      if (this->value(*part, value)) {
        ++fitting;
        continue;
      }
      path_.resize(path_size);
      depth_ = depth;
      if (!exhausted_ && failed_at_.size() > nearest_at.size()) {
        nearest_at = failed_at_;
        nearest_failure = failure_;
      }
    }
    if (fitting == 0 && !exhausted_) {
      failed_at_ = nearest_at;
      failure_ = rules.size() == 1
                     ? nearest_failure
                     : fmt::format("fits none of {} forms; the nearest says: {}", rules.size(), nearest_failure);
    }
    return fitting;
  };
  for (const Rule* part : rule.all_of) {
    if (!this->value(*part, value)) return false;
  }
  if (!rule.any_of.empty() && try_all(rule.any_of, 1) == 0) return false;
  if (!rule.one_of.empty()) {
    const std::size_t fitting = try_all(rule.one_of, 2);
    if (exhausted_ || fitting == 0) return false;
    if (fitting > 1) return refuse("fits more than one of the forms of which it may fit one");
  }
  if (rule.excluded) {
    Json copy = value;
    const bool fits = this->value(*rule.excluded, copy);
    path_.resize(path_size);
    depth_ = depth;
    if (exhausted_) return false;
    if (fits) return refuse(fmt::format("this form is excluded, got {}", shown(value)));
  }
  return !exhausted_;
}

Rules::Rules(const Json& schema) : set_(std::make_unique<Set>()) {
  set_->root = &schema;
  set_->first = set_->compile(schema);
  set_->compile_open();
}

Rules::~Rules() = default;

Status Rules::check(Json& value, std::string_view what) const {
  Check check(what);
  if (!check.value(*set_->first, value)) return check.error();
  return {};
}

}  // namespace weft::workflows::shape
