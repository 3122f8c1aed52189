#include "memory/journal/work_marks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "memory/journal/store_file.h"

namespace weft::memory {

Result<std::unique_ptr<WorkMarks>> WorkMarks::map(int descriptor) {
  // Before it is written through memory: on a full disk that would end the process.
  if (const int failed = ::posix_fallocate(descriptor, 0, kFileBytes); failed != 0)
    return system_error("room for the marks of work", failed);
  void* page = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (page == MAP_FAILED) return system_error("the marks of work", errno);
  auto marks = std::unique_ptr<WorkMarks>(new WorkMarks(static_cast<char*>(page)));
  for (std::size_t i = 0; i < kSlots; ++i) std::memset(marks->slot(i), 0, kSlotBytes);
  return marks;
}

std::vector<std::string> WorkMarks::left(int descriptor) {
  std::vector<std::string> left;
  std::array<char, kSlotBytes> bytes{};
  for (std::size_t i = 0; i < kSlots; ++i) {
    const auto at = static_cast<off_t>(kBegin + i * kSlotBytes);
    if (::pread(descriptor, bytes.data(), bytes.size(), at) != static_cast<ssize_t>(bytes.size())) break;
    const auto size = static_cast<unsigned char>(bytes[0]);
    if (size > 0 && size < kSlotBytes) left.emplace_back(bytes.data() + 1, size);
  }
  return left;
}

WorkMarks::~WorkMarks() { ::munmap(page_, kFileBytes); }

WorkMarks::Mark WorkMarks::mark(std::string_view run_id) {
  if (run_id.size() >= kSlotBytes) return {};
  std::uint64_t taken = taken_.load(std::memory_order_relaxed);
  for (;;) {
    const auto free = static_cast<std::size_t>(std::countr_one(taken));
    if (free >= kSlots) return {};
    if (!taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << free, std::memory_order_acquire)) continue;
    char* const at = slot(free);
    std::memcpy(at + 1, run_id.data(), run_id.size());
    // Last, so that no half of an id counts.
    std::atomic_ref<char>(*at).store(static_cast<char>(run_id.size()), std::memory_order_release);
    return {*this, free};
  }
}

void WorkMarks::take_back(std::size_t index) {
  std::atomic_ref<char>(*slot(index)).store(0, std::memory_order_release);
  taken_.fetch_and(~(std::uint64_t{1} << index), std::memory_order_release);
}

}  // namespace weft::memory
