#include "workflows/type.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::workflows {

struct Type::Parts {
  Type element;
  std::vector<Field> fields;
  std::vector<Json> values;
};

namespace {

using Kind = Type::Kind;

const Type kAnyType;

Kind kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return Kind::kNull;
    case Json::value_t::boolean: return Kind::kBoolean;
    case Json::value_t::string: return Kind::kString;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned: return Kind::kInteger;
    case Json::value_t::number_float: return Kind::kNumber;
    default: return Kind::kAny;
  }
}

bool holds(const std::vector<Json>& values, const Json& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

constexpr std::uint64_t kNodeUnits = 10;  // Of a budget, for a type that is looked at.
constexpr std::size_t kPairsPerUnit = 2;  // Of values or fields that are compared.

bool spend(Budget* budget, std::size_t pairs) {
  return budget == nullptr || budget->spend(kNodeUnits + pairs / kPairsPerUnit);
}

// Text that YAML reads back as the same string without quotes.
bool is_plain(const std::string& text) {
  constexpr std::string_view kWords[] = {"null", "true", "false", "Null", "True", "False", "NULL", "TRUE", "FALSE"};
  if (text.empty() || std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords)) return false;
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  const bool starts_well = !(text[0] >= '0' && text[0] <= '9') && text[0] != '-';
  return starts_well && std::all_of(text.begin(), text.end(), is_word);
}

std::string word(const std::string& text) { return is_plain(text) ? text : weft::to_text(Json(text)); }

std::string name_of(Kind kind) {
  switch (kind) {
    case Kind::kNull: return "null";
    case Kind::kBoolean: return "boolean";
    case Kind::kInteger: return "integer";
    case Kind::kNumber: return "number";
    case Kind::kString: return "string";
    case Kind::kDuration: return "duration";
    case Kind::kTimestamp: return "timestamp";
    default: return "any";
  }
}

constexpr std::size_t kJoinedFieldsMax = 256;  // Of objects that differ; more are a map of anything.

constexpr std::size_t kJoinedValuesMax = 1'000;  // Of enumerations that differ; more are any value of their kind.

Type join_objects(const Type& a, const Type& b, Budget* budget) {
  if (a.fields().size() + b.fields().size() > 2 * kJoinedFieldsMax) return Type::map({});
  std::vector<Type::Field> fields;
  for (const auto& field : a.fields()) {
    const Type::Field* other = b.field(field.name);
    fields.push_back({field.name, other ? Type::join(field.type, other->type, budget) : field.type.as_optional(),
                      field.description});
  }
  for (const auto& field : b.fields()) {
    if (!a.field(field.name)) fields.push_back({field.name, field.type.as_optional(), field.description});
  }
  return Type::object(std::move(fields));
}

Type join_of_fields(const Type& object, Budget* budget) {
  if (object.fields().empty()) return {};
  Type joined = object.fields().front().type;
  for (const auto& field : object.fields()) joined = Type::join(joined, field.type, budget);
  return joined;
}

bool object_accepts(const Type& wanted, const Type& from, Budget* budget) {
  for (const auto& field : from.fields()) {
    if (!wanted.field(field.name)) return false;
  }
  for (const auto& field : wanted.fields()) {
    const Type::Field* given = from.field(field.name);
    if (given ? !field.type.accepts(given->type, budget) : !field.type.optional()) return false;
  }
  return true;
}

}  // namespace

Type Type::of(Kind kind) {
  Type type;
  type.kind_ = kind;
  type.optional_ = kind == Kind::kNull;
  return type;
}

Type Type::list(Type element) {
  Type type = of(Kind::kList);
  type.parts_ = std::make_shared<const Parts>(Parts{std::move(element), {}, {}});
  return type;
}

Type Type::map(Type element) {
  Type type = of(Kind::kMap);
  type.parts_ = std::make_shared<const Parts>(Parts{std::move(element), {}, {}});
  return type;
}

Type Type::enumeration(std::vector<Json> values) {
  const std::size_t given = values.size();
  std::erase_if(values, [](const Json& value) { return value.is_null(); });
  if (values.empty()) return of(Kind::kNull);
  Type type = of(Kind::kEnum);
  type.optional_ = values.size() < given;
  type.parts_ = std::make_shared<const Parts>(Parts{{}, {}, std::move(values)});
  return type;
}

Type Type::object(std::vector<Field> fields) {
  Type type = of(Kind::kObject);
  type.parts_ = std::make_shared<const Parts>(Parts{{}, std::move(fields), {}});
  return type;
}

Type Type::as_optional() const {
  Type type = *this;
  type.optional_ = true;
  return type;
}

Type Type::without_optional() const {
  Type type = *this;
  type.optional_ = kind_ == Kind::kNull;
  return type;
}

const Type& Type::element() const {
  return parts_ && (kind_ == Kind::kList || kind_ == Kind::kMap) ? parts_->element : kAnyType;
}

const std::vector<Type::Field>& Type::fields() const {
  static const std::vector<Field> kNone;
  return parts_ ? parts_->fields : kNone;
}

const Type::Field* Type::field(std::string_view name) const {
  for (const auto& field : fields()) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

const std::vector<Json>& Type::values() const {
  static const std::vector<Json> kNone;
  return parts_ ? parts_->values : kNone;
}

Type Type::widened() const {
  if (kind_ != Kind::kEnum) return *this;
  Type type = of(kind_of(values().front()));
  for (const auto& value : values()) type = join(type, of(kind_of(value)));
  type.optional_ = optional_;
  return type;
}

bool Type::accepts(const Type& from, Budget* budget) const {
  if (kind_ == Kind::kAny || (parts_ && parts_ == from.parts_ && kind_ == from.kind_ && optional_ >= from.optional_))
    return true;
  const std::size_t pairs = values().size() * from.values().size() + 2 * fields().size() * from.fields().size();
  if (!spend(budget, pairs)) return true;
  if (from.optional_ && !optional_) return false;
  if (from.kind_ == Kind::kAny || from.kind_ == Kind::kNull) return true;
  if (from.kind_ == Kind::kEnum && kind_ == Kind::kEnum) {
    return std::all_of(from.values().begin(), from.values().end(),
                       [&](const Json& value) { return holds(values(), value); });
  }
  if (from.kind_ == Kind::kEnum) return accepts(from.widened(), budget);
  switch (kind_) {
    case Kind::kNumber: return from.kind_ == Kind::kNumber || from.kind_ == Kind::kInteger;
    case Kind::kList: return from.kind_ == Kind::kList && element().accepts(from.element(), budget);
    case Kind::kMap:
      if (from.kind_ == Kind::kMap) return element().accepts(from.element(), budget);
      return from.kind_ == Kind::kObject &&
             std::all_of(from.fields().begin(), from.fields().end(),
                         [&](const Field& f) { return element().accepts(f.type, budget); });
    case Kind::kObject:
      if (from.kind_ == Kind::kMap) return from.element().kind() == Kind::kAny;
      return from.kind_ == Kind::kObject && object_accepts(*this, from, budget);
    default: return kind_ == from.kind_;
  }
}

Type Type::join(const Type& a, const Type& b, Budget* budget) {
  const bool optional = a.optional_ || b.optional_;
  Type joined;
  const std::size_t pairs = a.values().size() * b.values().size() + 2 * a.fields().size() * b.fields().size();
  if (same(a.without_optional(), b.without_optional(), budget) || b.kind_ == Kind::kNull) {
    joined = a;
  } else if (a.kind_ == Kind::kNull) {
    joined = b;
  } else if (!spend(budget, pairs)) {
    return {};
  } else if (a.kind_ == Kind::kEnum && b.kind_ == Kind::kEnum &&
             a.values().size() + b.values().size() <= kJoinedValuesMax && a.widened().kind_ == b.widened().kind_) {
    std::vector<Json> values = a.values();
    std::copy_if(b.values().begin(), b.values().end(), std::back_inserter(values),
                 [&](const Json& value) { return !holds(a.values(), value); });
    joined = enumeration(std::move(values));
  } else if (a.kind_ == Kind::kEnum || b.kind_ == Kind::kEnum) {
    joined = join(a.widened(), b.widened(), budget);
  } else if ((a.kind_ == Kind::kInteger && b.kind_ == Kind::kNumber) ||
             (a.kind_ == Kind::kNumber && b.kind_ == Kind::kInteger)) {
    joined = of(Kind::kNumber);
  } else if (a.kind_ == Kind::kList && b.kind_ == Kind::kList) {
    joined = list(join(a.element(), b.element(), budget));
  } else if (a.kind_ == Kind::kObject && b.kind_ == Kind::kObject) {
    joined = join_objects(a, b, budget);
  } else if (a.kind_ == Kind::kMap && b.kind_ == Kind::kMap) {
    joined = map(join(a.element(), b.element(), budget));
  } else if (a.kind_ == Kind::kMap && b.kind_ == Kind::kObject) {
    joined = map(join(a.element(), join_of_fields(b, budget), budget));
  } else if (a.kind_ == Kind::kObject && b.kind_ == Kind::kMap) {
    joined = map(join(join_of_fields(a, budget), b.element(), budget));
  }
  joined.optional_ = joined.optional_ || optional;
  return joined;
}

std::string Type::to_text(std::size_t bytes_max) const {
  std::string text;
  write(text, bytes_max);
  if (text.size() > bytes_max) text.resize(bytes_max);
  return text;
}

void Type::write(std::string& text, std::size_t bytes_max) const {
  bool is_first = true;
  const auto next = [&] {
    if (!std::exchange(is_first, false)) text += ", ";
    return text.size() <= bytes_max;
  };
  switch (kind_) {
    case Kind::kEnum:
      text += "{enum: [";
      for (const auto& value : values()) {
        if (!next()) break;
        text += value.is_string() ? word(value.get_ref<const std::string&>()) : weft::to_text(value);
      }
      text += "]}";
      break;
    case Kind::kList:
      text += "[";
      element().write(text, bytes_max);
      text += "]";
      break;
    case Kind::kMap:
      if (element().kind_ == Kind::kAny) {
        text += "object";
        break;
      }
      text += "{type: object, additionalProperties: ";
      element().write(text, bytes_max);
      text += "}";
      break;
    case Kind::kObject:
      text += "{";
      for (const auto& field : fields()) {
        if (!next()) break;
        text += word(field.name) + ": ";
        field.type.write(text, bytes_max);
      }
      text += "}";
      break;
    default: text += name_of(kind_);
  }
  if (optional_ && kind_ != Kind::kNull) text += "?";
}

bool Type::operator==(const Type& other) const { return same(*this, other, nullptr); }

bool Type::same(const Type& a, const Type& b, Budget* budget) {
  if (a.kind_ != b.kind_ || a.optional_ != b.optional_) return false;
  if (a.parts_ == b.parts_) return true;
  if (!spend(budget, 2 * (a.values().size() + a.fields().size()))) return false;
  return same(a.element(), b.element(), budget) && a.values() == b.values() &&
         std::equal(a.fields().begin(), a.fields().end(), b.fields().begin(), b.fields().end(),
                    [&](const Field& x, const Field& y) { return x.name == y.name && same(x.type, y.type, budget); });
}

}  // namespace weft::workflows
