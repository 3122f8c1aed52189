// Whether a store holds what it should: its file, every run's events, every content that they name.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "memory/inspection.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

struct Fault {
  std::string run;      // Empty: of the store.
  std::string what;     // A sentence.
  std::string way_out;  // What to do about it.
};

struct Verified {
  std::uint64_t runs = 0;
  std::uint64_t events = 0;
  std::uint64_t blobs = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t faults = 0;
};

// An error: the store could not be looked through to its end.
Result<Verified> verify(memory::Inspection& store, const std::function<void(const Fault& fault)>& on_fault);

// Calls `on_blob` for each blob that the event names, wherever in it, with the name of the field that it is the value
// of.
void each_blob(const google::protobuf::Message& message,
               const std::function<void(const v1::Blob& blob, const std::string& field)>& on_blob);

}  // namespace weft::engine
