// A bounded reader of YAML 1.2 (core schema), over yaml-cpp's event parser.
//
// Invariants:
//  1. Every node knows its line and column.
//  2. No alias can refer to itself; each is a copy of what it names, and counts against `nodes_max` as such.
//  3. Tags, merge keys, duplicate keys, non-text keys, several documents and invalid UTF-8 are diagnostics.
//  4. A map remembers which of its keys were asked for, so that a key which nothing used can be refused.
// yaml-cpp 0.7 accepts duplicate keys silently and crashes on self-references: neither reaches it here.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "workflows/diagnostic.h"

namespace weft::yaml {

using workflows::Diagnostics;
using workflows::Mark;

struct Limits {
  std::size_t bytes_max = std::size_t{1} << 20;
  std::size_t depth_max = 64;
  std::size_t nodes_max = 100'000;
};

enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };
enum class Style : std::uint8_t { kPlain, kQuoted, kBlock };

class Node {
 public:
  struct Member {
    std::string key;
    Mark key_mark;
    std::shared_ptr<const Node> value;
    mutable bool used = false;
  };

  Kind kind = Kind::kNull;
  Style style = Style::kPlain;
  Mark mark;
  std::string text;                                // kScalar: the scalar as written, unescaped.
  Mark text_mark;                                  // kScalar: where the first byte of `text` stands: behind the quote,
                                                   // or in the first line of a block, whose lines all begin there.
  std::vector<std::shared_ptr<const Node>> items;  // kSequence
  std::vector<Member> members;                     // kMap, in file order.

  bool is_map() const { return kind == Kind::kMap; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_null() const { return kind == Kind::kNull; }
  // A quoted or block scalar, or a plain one that the core schema does not read as null, bool or number.
  bool is_string() const;

  // The value under `key`, which is thereby used; null where there is none.
  const Node* get(std::string_view key) const;
  bool has(std::string_view key) const;  // Does not use it.

  // Typed readings of a scalar by the core schema; nothing where it is something else.
  std::optional<bool> as_bool() const;
  std::optional<std::int64_t> as_integer() const;
  std::optional<double> as_number() const;

  // The whole subtree as JSON by the core schema; uses every key in it.
  Json to_json() const;
};

using NodePtr = std::shared_ptr<const Node>;

// Null where the text is refused; the diagnostics then say why. An empty document is a null node.
NodePtr read(std::string_view text, Diagnostics& diagnostics, const Limits& limits = {});

// As read(), for a checker that names every mistake in one pass: the tree also where it has faults that leave one
// (duplicate keys, tags, a bare `{{`). What is not `sound` must be refused in the end.
struct Faulty {
  NodePtr root;  // Null where nothing could be read.
  bool sound = false;
};
Faulty read_faulty(std::string_view text, Diagnostics& diagnostics, const Limits& limits = {});

// An error "unknown-key" for each key of `map` that was never used, with the nearest of `known` as suggestion.
void refuse_unused(const Node& map, std::string_view what, const std::vector<std::string>& known,
                   Diagnostics& diagnostics);

// Writes a value as YAML that `read` gives back equal (used to emit workflows again).
std::string write(const Json& value);

}  // namespace weft::yaml
