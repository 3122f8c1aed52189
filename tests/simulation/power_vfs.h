// Files for SQLite that live in memory and know what was synced: when the power fails, what was not is lost or torn.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "random.h"

namespace weft::simulation {

// The one default file system of SQLite while it exists. One thread.
class PowerVfs {
 public:
  explicit PowerVfs(Random& random);
  ~PowerVfs();
  PowerVfs(const PowerVfs&) = delete;
  PowerVfs& operator=(const PowerVfs&) = delete;

  void make_empty(const std::string& path);
  // After so many more writes and syncs nothing reaches the disk any more: each fails.
  void fail_after(std::uint32_t operations) { operations_left_ = operations; }
  // The next sync says that it failed: it did, or it did not. The power holds.
  enum class Sync : std::uint8_t { kWorks, kDoneAndDenied, kNotDone };
  void next_sync(Sync next) { next_sync_ = next; }
  Sync take_sync() {
    denied_ = denied_ || next_sync_ != Sync::kWorks;
    return std::exchange(next_sync_, Sync::kWorks);
  }
  bool take_denied() { return std::exchange(denied_, false); }  // Whether one failed since the last time.
  void never_fail() { operations_left_ = kNever; }
  bool failed() const { return operations_left_ == 0; }
  // REQUIRES: no file is open. What was synced is there; of the rest, in no order that anybody promised, some.
  void power_returns();

  struct Change {
    std::uint64_t at = 0;
    std::string bytes;
    bool truncates = false;  // To `at`.
  };
  struct File {
    std::string now;
    std::string durable;
    std::vector<Change> unsynced;
    std::vector<std::unique_ptr<char[]>> shared_memory;
  };
  // For the functions that SQLite calls.
  std::map<std::string, std::shared_ptr<File>> files;
  bool reaches_the_disk();

 private:
  static constexpr std::uint32_t kNever = UINT32_MAX;
  Random& random_;
  std::uint32_t operations_left_ = kNever;
  Sync next_sync_ = Sync::kWorks;
  bool denied_ = false;
};

}  // namespace weft::simulation
