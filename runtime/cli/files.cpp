#include "runtime/cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

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

// Beneath `folder`, links followed.
bool is_beneath(const fs::path& folder, const fs::path& file) {
  std::error_code fault;
  const fs::path root = fs::weakly_canonical(folder, fault);
  const fs::path relative = fs::weakly_canonical(file, fault).lexically_relative(root);
  return !fault && !relative.empty() && *relative.begin() != "..";
}

}  // namespace

bool names_file(const std::string& text) {
  return text.ends_with(".yaml") || text.ends_with(".yml") || text.find('/') != std::string::npos ||
         ::access(text.c_str(), F_OK) == 0;
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  if (path == "-") return read_all(STDIN_FILENO, "standard input", bytes_max);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return cannot_read(path, errno);
  struct stat found{};
  Result<std::string> text = invalid_argument(fmt::format("{} is no regular file", path));
  if (::fstat(descriptor, &found) == 0 && (S_ISREG(found.st_mode) || S_ISFIFO(found.st_mode))) {
    text = read_all(descriptor, path, bytes_max);
  }
  ::close(descriptor);
  return text;
}

Result<workflows::Bundle> read_bundle(const std::string& path) {
  workflows::Bundle bundle;
  bundle.file = path;
  WEFT_TRY(bundle.text, read_file(path, kWorkflowBytesMax));
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
    auto content = read_file(file.string(), workflows::kBundleFileBytesMax);
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
