// A schema as rules that point to each other. Private to shape_rules.cpp and shape_check.cpp.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/pattern.h"
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
  std::optional<Pattern> pattern;
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

}  // namespace weft::workflows::shape
