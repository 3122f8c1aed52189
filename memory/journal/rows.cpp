#include "memory/journal/rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::memory {
namespace {

bool is_kind(std::string_view kind) {
  return std::ranges::all_of(kind, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

Status check_size(std::string_view what, std::size_t bytes, std::size_t bytes_max, std::string_view limit) {
  if (bytes <= bytes_max) return {};
  return invalid_argument(
             fmt::format("the {} of a row has {} bytes; at most {} are kept ({})", what, bytes, bytes_max, limit))
      .with("limit", std::string(limit));
}

}  // namespace

Status check_rows(std::span<const RowChange> changes) {
  if (changes.size() > kRowChangesMax) {
    return invalid_argument(fmt::format("an append changes {} rows; at most {} go with one (row_changes_max)",
                                        changes.size(), kRowChangesMax))
        .with("limit", "row_changes_max");
  }
  for (const RowChange& change : changes) {
    WEFT_RETURN_IF_ERROR(check_size("kind", change.kind.size(), kRowKindBytesMax, "row_kind_bytes_max"));
    WEFT_RETURN_IF_ERROR(check_size("key", change.key.size(), kRowKeyBytesMax, "row_key_bytes_max"));
    if (change.value)
      WEFT_RETURN_IF_ERROR(check_size("value", change.value->size(), kRowValueBytesMax, "row_value_bytes_max"));
    if (change.kind.empty() || !is_kind(change.kind))
      return invalid_argument("the kind of a row is written with lower-case letters, digits, '_', '-' and '.'");
    if (change.key.empty()) return invalid_argument(fmt::format("a row of the kind {} has no key", change.kind));
  }
  return {};
}

std::size_t bytes_of(const RowChange& change) {
  return change.kind.size() + change.key.size() + (change.value ? change.value->size() : 0);
}

}  // namespace weft::memory
