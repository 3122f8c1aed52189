// What a test tells the disk under a running program, through a file that both map (WEFT_DISK names it). The library
// that obeys is broken_disk.cpp, by LD_PRELOAD: the program itself knows nothing of it.
#pragma once

#include <atomic>
#include <climits>
#include <cstdint>

namespace weft::crash {

// Of the files whose path contains `files`: a store's, and those beside it.
struct DiskOrders {
  char files[256] = {};
  char journal[256] = {};                            // A folder for what unsynced writes replaced; empty: not kept.
  std::atomic<std::int64_t> room_bytes = INT64_MAX;  // Until the disk is full (ENOSPC); the last write is a short one.
  std::atomic<int> syncs_failing = 0;                // So many fail next (EIO).
  std::atomic<int> writes_failing = 0;
  std::atomic<int> writes_short = 0;   // So many write only half of what they were given, and say so.
  std::atomic<int> reads_failing = 0;  // So many fail next (EIO).
  std::atomic<int> sync_us = 0;        // Each takes so much longer.
  std::atomic<int> syncs_lie = 0;      // 1: a sync says that it is done and does nothing.
  std::atomic<int> syncs = 0;          // Seen so far.
  std::atomic<int> writes_refused = 0;
  std::atomic<int> writes_cut = 0;
  std::atomic<int> reads_refused = 0;
};

// A write that has not been synced, in the journal of its file: this, then `size` bytes that were there before.
struct Replaced {
  std::int64_t offset = 0;
  std::int64_t size = 0;  // Of the bytes that were replaced; less than `written` at the file's end.
  std::int64_t written = 0;
  std::int64_t file_size = 0;  // Before it.
};

}  // namespace weft::crash
