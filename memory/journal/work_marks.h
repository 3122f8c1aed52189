// Which runs the threads of a store's owner work on, in a page that outlives the process: after a crash the next owner
// reads it. Marking costs some tens of nanoseconds and no system call. The page survives every end of the process, but
// not a loss of power, for which no run is to blame.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weft::memory {

// Thread-safe.
class WorkMarks {
 public:
  // Notes for as long as it lives that one thread works on one run. When all slots are taken, it notes nothing.
  class Mark {
   public:
    Mark() = default;
    Mark(WorkMarks& marks, std::size_t slot) : marks_(&marks), slot_(slot) {}
    Mark(Mark&& other) noexcept : marks_(std::exchange(other.marks_, nullptr)), slot_(other.slot_) {}
    Mark& operator=(Mark&&) = delete;
    ~Mark() {
      if (marks_ != nullptr) marks_->take_back(slot_);
    }

   private:
    WorkMarks* marks_ = nullptr;
    std::size_t slot_ = 0;
  };

  // The marks stand in the file, behind the owner's process id. The file becomes a page long.
  static Result<std::unique_ptr<WorkMarks>> map(int descriptor);
  // The runs that an owner which is gone had marked. To be read before map(), which clears them.
  static std::vector<std::string> left(int descriptor);
  ~WorkMarks();
  WorkMarks(const WorkMarks&) = delete;
  WorkMarks& operator=(const WorkMarks&) = delete;

  Mark mark(std::string_view run_id);

 private:
  static constexpr std::size_t kSlots = 63;      // Threads that are at a run at once.
  static constexpr std::size_t kSlotBytes = 64;  // A run's id with its length in front.
  static constexpr std::size_t kBegin = 64;      // Before it stands the owner's process id.
  static constexpr std::size_t kFileBytes = 4'096;

  explicit WorkMarks(char* page) : page_(page) {}
  char* slot(std::size_t index) const { return page_ + kBegin + index * kSlotBytes; }
  void take_back(std::size_t index);

  char* const page_;
  std::atomic<std::uint64_t> taken_ = 0;  // A bit for each slot.
};

}  // namespace weft::memory
