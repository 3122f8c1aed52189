#include "runtime/cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/ownership.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWorkflowBytesMax = std::size_t{1} << 20;

Error cannot_read(const std::string& path, int fault) {
  std::string sentence = fmt::format("cannot read {}: {}", path, std::strerror(fault));
  if (fault == ENOENT) return not_found(fmt::format("there is no file {}", path));
  if (fault == EACCES) return permission_denied(std::move(sentence));
  return invalid_argument(std::move(sentence));
}

Result<std::string> read_all(int descriptor, const std::string& path, std::size_t bytes_max) {
  std::string text;
  std::array<char, 64 << 10> buffer;
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(path, errno);
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > bytes_max) {
      return invalid_argument(fmt::format("{} has more than {} bytes", path, bytes_max))
          .with("limit", "file_bytes_max");
    }
  }
}

Error not_regular(const std::string& path) {
  return invalid_argument(fmt::format("{} is no regular file: name a file that holds the text", path));
}

enum class Kind : std::uint8_t { kRegular, kNull, kPipe, kOther };

Kind kind_of(int descriptor) {
  constexpr unsigned kNullMajor = 1;
  constexpr unsigned kNullMinor = 3;
  struct stat found{};
  if (::fstat(descriptor, &found) != 0) return Kind::kOther;
  if (S_ISREG(found.st_mode)) return Kind::kRegular;
  if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(kNullMajor, kNullMinor)) return Kind::kNull;
  // A pipe without a name has a writer, or had one: it ends.
  struct statfs system{};
  const bool is_nameless = ::fstatfs(descriptor, &system) == 0 && system.f_type == PIPEFS_MAGIC;
  return S_ISFIFO(found.st_mode) && is_nameless ? Kind::kPipe : Kind::kOther;
}

// Beneath `folder`, links followed.
bool is_beneath(const fs::path& folder, const fs::path& file) {
  std::error_code fault;
  const fs::path root = fs::weakly_canonical(folder, fault);
  const fs::path relative = fs::weakly_canonical(file, fault).lexically_relative(root);
  return !fault && !relative.empty() && *relative.begin() != "..";
}

enum class Owner : std::uint8_t { kAnybody, kOneself };

Result<std::string> read_opened(const std::string& path, std::size_t bytes_max, Pipes pipes, Owner owner) {
  // Not waiting for a FIFO's writer, and not taking a terminal.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  // A socket cannot be opened.
  if (descriptor < 0 && errno == ENXIO) return not_regular(path);
  if (descriptor < 0) return cannot_read(path, errno);
  Result<std::string> text = not_regular(path);
  switch (kind_of(descriptor)) {
    case Kind::kRegular: {
      const Status own = owner == Owner::kAnybody ? Status() : require_own_descriptor(descriptor, path);
      text = own ? read_all(descriptor, path, bytes_max) : Result<std::string>(own.error());
      break;
    }
    case Kind::kNull: text = std::string(); break;
    case Kind::kPipe:
      if (pipes == Pipes::kRefused) break;
      ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
      text = read_all(descriptor, path, bytes_max);
      break;
    case Kind::kOther: break;
  }
  ::close(descriptor);
  return text;
}

}  // namespace

bool names_file(const std::string& text) {
  return text.ends_with(".yaml") || text.ends_with(".yml") || text.find('/') != std::string::npos ||
         ::access(text.c_str(), F_OK) == 0;
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max, Pipes pipes) {
  if (path == "-" && pipes == Pipes::kTaken) return read_all(STDIN_FILENO, "standard input", bytes_max);
  return read_opened(path, bytes_max, pipes, Owner::kAnybody);
}

Result<std::string> read_own_file(const std::string& path, std::size_t bytes_max) {
  return read_opened(path, bytes_max, Pipes::kRefused, Owner::kOneself);
}

Result<workflows::Bundle> read_bundle(const std::string& path) {
  workflows::Bundle bundle;
  bundle.file = path;
  WEFT_TRY(bundle.text, read_file(path, kWorkflowBytesMax, Pipes::kTaken));
  const fs::path folder = fs::absolute(path).parent_path();
  std::size_t bytes = bundle.text.size();
  for (const std::string& name : workflows::files_named(bundle.text)) {
    if (bundle.files.size() >= workflows::kBundleFilesMax) {
      return resource_exhausted(fmt::format("{} names more than {} files", path, workflows::kBundleFilesMax))
          .with("limit", "bundle_files_max");
    }
    const fs::path file = folder / name;
    if (!is_beneath(folder, file)) {
      return invalid_argument(fmt::format("{} names {}, which is not beneath its own folder", path, name));
    }
    auto content = read_file(file.string(), workflows::kBundleFileBytesMax, Pipes::kRefused);
    // A file that is not there is a mistake in the workflow: the checker says so, with its line.
    if (!content && content.error().code == Code::kNotFound) continue;
    if (!content) return std::move(content).error();
    bytes += content->size();
    if (bytes > workflows::kBundleBytesMax) {
      return resource_exhausted(fmt::format("{} and the files that it names have more than {} bytes", path,
                                            workflows::kBundleBytesMax))
          .with("limit", "bundle_bytes_max");
    }
    bundle.files.push_back({name, *std::move(content)});
  }
  return bundle;
}

v1::Bundle to_message(const workflows::Bundle& bundle) {
  v1::Bundle message;
  message.set_file(bundle.file);
  message.set_text(bundle.text);
  for (const auto& file : bundle.files) {
    auto* added = message.add_files();
    added->set_path(file.path);
    added->set_content(file.content);
  }
  return message;
}

}  // namespace weft::cli
