// The door through which the core reads contents. A read that fails decides nothing.
//
// Invariants:
//  1. The first read that failed is remembered until it is taken. decide() looks there before it hands out what it has
//     drafted: no refusal, failure or skip follows from a read.
//  2. apply() holds what it will read before it changes anything, so that it fails whole or not at all.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "runtime/run/contents.h"

namespace weft::run {

class Reads {
 public:
  explicit Reads(Contents& contents) : contents_(contents) {}

  Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content);
  Result<v1::Content> put(std::string bytes) { return contents_.put(std::move(bytes)); }

  // Reads it now, so that bytes() has it until release().
  Status hold(const v1::Content& content);
  void release() { held_.clear(); }

  bool failed() const { return failed_.has_value(); }
  std::optional<Error> take_failed() { return std::exchange(failed_, std::nullopt); }

 private:
  Contents& contents_;
  std::map<std::string, std::shared_ptr<const std::string>> held_;  // By SHA-256.
  std::optional<Error> failed_;
};

}  // namespace weft::run
