// Checks that a store holds what it should: its file, the events of every run, and every content that they name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "memory/journal/inspection.h"

namespace weft::history {

struct Fault {
  std::string run;      // Empty: of the whole store.
  std::string what;     // A sentence.
  std::string way_out;  // What to do about it.
};

// What was looked at, and how many faults were found.
struct StoreCheck {
  std::uint64_t runs = 0;
  std::uint64_t events = 0;
  std::uint64_t blobs = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t faults = 0;
};

// Blocks on the store. An error where the store could not be read to its end.
Result<StoreCheck> check_store(memory::Inspection& store, const std::function<void(const Fault& fault)>& on_fault);

}  // namespace weft::history
