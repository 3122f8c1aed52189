// The bytes of messages that the server holds for its callers: requests that are worked on, answers and pieces of
// streams that a client has not read yet. Bounded in all and for each caller, so that nobody who does not read makes
// the server grow, and nobody takes the room of all others.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "base/result.h"

namespace weft::server {

inline constexpr std::size_t kHeldBytesMax = std::size_t{256} << 20;
// A request counts so often: as it came, as it was parsed, and as the engine holds it until it is durable.
inline constexpr std::size_t kRequestCopies = 3;
// Of these, those of one caller: the socket, or a token. One request of the largest size fits.
inline constexpr std::size_t kHeldBytesOfCallerMax = std::size_t{192} << 20;
// What is smaller is not counted: the number of calls bounds it.
inline constexpr std::size_t kCountedBytesMin = 4'096;

class HeldBytes;

// A part of them, given back when it goes.
class Hold {
 public:
  Hold() = default;
  Hold(Hold&& other) noexcept { *this = std::move(other); }
  Hold& operator=(Hold&& other) noexcept;
  ~Hold() { shrink(0); }
  std::size_t bytes() const { return bytes_; }
  void shrink(std::size_t bytes);  // To so many; more changes nothing.

 private:
  friend class HeldBytes;
  HeldBytes* from_ = nullptr;
  std::string caller_;
  std::size_t bytes_ = 0;
};

// Thread-safe. Outlives what was taken from it.
class HeldBytes {
 public:
  // RESOURCE_EXHAUSTED with the limit's name and when to try again.
  Result<Hold> take(const std::string& caller, std::size_t bytes);
  bool fits(const std::string& caller, std::size_t bytes) const;
  std::size_t bytes() const;
  // Whether so much was given back since the last time it was asked that the allocator should return memory.
  bool worth_trimming();

 private:
  friend class Hold;
  void give(const std::string& caller, std::size_t bytes);

  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> by_caller_;  // Guarded by mutex_; no zeros.
  std::size_t bytes_ = 0;                         // Guarded by mutex_.
  std::atomic<std::size_t> given_back_ = 0;
};

}  // namespace weft::server
