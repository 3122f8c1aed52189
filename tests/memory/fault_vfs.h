// A disk under SQLite that a test watches and breaks. While one exists, every store that is opened lies on it.
#pragma once

#include <atomic>
#include <climits>
#include <cstdint>

namespace weft::memory::test {

// One at a time; stores opened on it are closed before it goes.
class FaultDisk {
 public:
  FaultDisk();
  ~FaultDisk();
  FaultDisk(const FaultDisk&) = delete;
  FaultDisk& operator=(const FaultDisk&) = delete;

  std::atomic<int> wal_opens = 0;
  std::atomic<int> wal_syncs = 0;
  std::atomic<int> wal_bytes_unsynced = 0;
  std::atomic<int> file_writes = 0;                     // To a database's file: only checkpoints do that.
  std::atomic<std::int64_t> wal_bytes_max = INT64_MAX;  // A write beyond it: the disk is full.
  std::atomic<int> wal_writes_failing = 0;              // So many fail next, with an I/O error.
  std::atomic<int> wal_syncs_failing = 0;
  std::atomic<int> wal_sync_ms = 0;              // So long each takes at least.
  std::atomic<bool> wal_syncs_are_free = false;  // The disk is not asked.
  std::atomic<int> wal_syncs_left = INT_MAX;     // After so many the disk is full.
};

}  // namespace weft::memory::test
