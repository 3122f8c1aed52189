#include "memory/journal/commit_times.h"

#include <algorithm>

namespace weft::memory {
namespace {

std::int64_t second_of(Duration at) { return at.count() / 1'000'000; }

}  // namespace

void CommitTimes::add(Duration at, Duration took) {
  const std::int64_t number = second_of(at);
  const std::lock_guard lock(mutex_);
  took_[commits_ % kCommitsKept] = took;
  ++commits_;
  Second& second = seconds_[static_cast<std::size_t>(number) % seconds_.size()];
  if (second.number != number) second = {number, 0};
  ++second.commits;
}

CommitFigures CommitTimes::figures(Duration at) const {
  const std::int64_t now = second_of(at);
  std::vector<Duration> took;
  CommitFigures figures;
  {
    const std::lock_guard lock(mutex_);
    figures.commits = commits_;
    took.assign(took_.begin(),
                took_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(commits_, kCommitsKept)));
    std::uint64_t recent = 0;
    for (const Second& second : seconds_) {
      if (second.number < now && second.number >= now - kSecondsKept) recent += second.commits;
    }
    figures.per_second = static_cast<double>(recent) / static_cast<double>(kSecondsKept);
  }
  if (took.empty()) return figures;
  std::ranges::sort(took);
  figures.median = took[took.size() / 2];
  figures.p95 = took[took.size() * 95 / 100];
  return figures;
}

}  // namespace weft::memory
