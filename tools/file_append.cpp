#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>

#include "base/bytes.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

constexpr std::chrono::milliseconds kLookAgain{20};  // Whether a call that waits for another one's end is over.

Appending failed(std::string reason) { return {ToolStatus::kFailed, std::move(reason), 0}; }
Appending unknown(std::string reason) { return {ToolStatus::kUnknown, std::move(reason), 0}; }

bool lacks_end_of_line(const OpenFile& file) {
  if (file.size == 0) return false;
  char last = '\n';
  return ::pread(file.descriptor.number(), &last, 1, static_cast<off_t>(file.size - 1)) == 1 && last != '\n';
}

// Errors of write() that mean that not a byte was written.
bool nothing_written(int error) {
  return error == ENOSPC || error == EDQUOT || error == EFBIG || error == EPERM || error == EAGAIN;
}

}  // namespace

Appending append_line(const View& view, const std::string& path, const std::string& line, const FileLimits& limits,
                      const CallTime& time) {
  if (line.find('\n') != std::string::npos) return failed("a line cannot hold a newline: append one line a call");
  if (line.size() > limits.append_bytes_max) {
    return failed(fmt::format("a line has at most {} bytes, this one {}", limits.append_bytes_max, line.size()));
  }

  // A file's size is seen growing while a write still runs, and its last byte is then not the last of a line: between
  // looking at the end and writing behind it there is no other call of this process.
  static std::timed_mutex one_at_a_time;
  std::unique_lock lock(one_at_a_time, std::defer_lock);
  while (!lock.try_lock_for(kLookAgain)) {
    if (time.over() && !time.cancelled()) return failed("another call appends and does not end: nothing was written");
    if (time.cancelled()) break;
  }
  if (time.cancelled()) return failed("the call was cancelled before anything was written");
  const auto opened = view.file_to_append(path);
  if (!opened) return failed(opened.error().message);
  const OpenFile& file = opened->file;
  const std::string bytes = (lacks_end_of_line(file) ? "\n" : "") + line + "\n";

  // One write(), which O_APPEND puts behind whatever others wrote meanwhile, whole.
  ssize_t written = -1;
  do {
    written = ::write(file.descriptor.number(), bytes.data(), bytes.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) {
    const std::string reason = fmt::format("'{}' could not be written: {}{}", printable(path), std::strerror(errno),
                                           opened->created ? " (an empty file was made)" : "");
    return nothing_written(errno) ? failed(reason) : unknown(reason);
  }
  if (static_cast<std::size_t>(written) != bytes.size()) {
    return unknown(fmt::format("'{}' took {} of {} bytes", printable(path), written, bytes.size()));
  }
  if (::fdatasync(file.descriptor.number()) != 0) {
    return unknown(fmt::format("'{}' was written, but whether it is on the disk is not known: {}", printable(path),
                               std::strerror(errno)));
  }
  return {ToolStatus::kDone, "", bytes.size()};
}

}  // namespace weft::tools
