// Rows beside events: what other rooms keep in the store, written in the transaction of the events that cause it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weft::memory {

// Limits on what one append may carry. An append over one of them fails with INVALID_ARGUMENT and writes nothing.
inline constexpr std::size_t kRowKindBytesMax = 64;
inline constexpr std::size_t kRowKeyBytesMax = 1'024;
inline constexpr std::size_t kRowValueBytesMax = std::size_t{128} << 10;
inline constexpr std::size_t kRowChangesMax = 256;

// Limits on one page of rows.
inline constexpr std::size_t kRowsPageMax = 1'000;
inline constexpr std::size_t kRowsPageBytesMax = std::size_t{4} << 20;  // About: the row that reaches it is the last.

// How long a row stays.
enum class RowLife : std::uint8_t {
  kStore,  // Until a change erases it. The removal of runs leaves it.
  kRun,    // As kStore, but at most as long as the run whose append put it last.
};

// A row as it is read. Within a kind, a key names one row.
struct Row {
  std::string kind;   // What sort of row it is, as a table's name: lower-case letters, digits, '_', '-' and '.'.
  std::string key;    // Any bytes, at least one. Rows of a kind are ordered by the unsigned values of these bytes.
  std::string value;  // Opaque.
};

// What an append does to one row.
struct RowChange {
  std::string kind;
  std::string key;
  std::optional<std::string> value;  // The whole new value. None: the row is erased; without one, nothing happens.
  RowLife life = RowLife::kStore;    // Of a row that is put.
};

struct RowPage {
  std::vector<Row> rows;  // By key.
  std::string next;       // For the `after` of the next page; empty at the end.
};

// INVALID_ARGUMENT names the limit that the changes break.
Status check_rows(std::span<const RowChange> changes);
std::size_t bytes_of(const RowChange& change);

}  // namespace weft::memory
