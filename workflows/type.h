// The types of values in workflows: what shapes declare and what expressions are checked with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace weft::workflows {

// Immutable; copying shares.
class Type {
 public:
  enum class Kind : std::uint8_t {
    kAny,  // A JSON value of unknown type; its numbers are doubles.
    kNull,
    kBoolean,
    kInteger,  // 64-bit signed.
    kNumber,   // Double.
    kString,
    kEnum,  // One of some JSON scalars.
    kList,
    kObject,  // Named fields; a missing field is an error of the checker.
    kMap,     // Text keys, one value type.
    kDuration,
    kTimestamp,
  };
  struct Field;

  Type() = default;  // any
  static Type of(Kind kind);
  static Type list(Type element);
  static Type map(Type element);
  static Type enumeration(std::vector<Json> values);
  static Type object(std::vector<Field> fields);

  Kind kind() const { return kind_; }
  bool optional() const { return optional_; }  // T?: absent or null, one thing.
  Type as_optional() const;
  Type without_optional() const;
  Type widened() const;                      // An enum as the type of its values; others as they are.
  const Type& element() const;               // kList, kMap
  const std::vector<Field>& fields() const;  // kObject, in file order
  const Field* field(std::string_view name) const;
  const std::vector<Json>& values() const;  // kEnum

  // Whether every value of `from` may stand where this type is wanted (any goes both ways, checked at run time).
  // Spent out of `budget` where there is one; over it, the answer is yes, and `any`.
  bool accepts(const Type& from, Budget* budget = nullptr) const;
  // The narrowest type here that holds both.
  static Type join(const Type& a, const Type& b, Budget* budget = nullptr);
  // As a shape is written: "[{id: string}]?"; it ends where it has so many bytes.
  std::string to_text(std::size_t bytes_max = SIZE_MAX) const;
  bool operator==(const Type& other) const;

 private:
  struct Parts;
  void write(std::string& text, std::size_t bytes_max) const;
  static bool same(const Type& a, const Type& b, Budget* budget);
  Kind kind_ = Kind::kAny;
  bool optional_ = false;
  std::shared_ptr<const Parts> parts_;
};

struct Type::Field {
  std::string name;
  Type type;
  std::string description;
};

}  // namespace weft::workflows
