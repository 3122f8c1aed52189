#include "runtime/cli/connect/trust_list.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/json.h"
#include "base/ownership.h"
#include "base/time.h"
#include "runtime/cli/files.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStores = "stores";
constexpr const char* kConfigurations = "configurations";
constexpr std::chrono::milliseconds kLockPatience{5'000};
constexpr std::chrono::milliseconds kLockAgain{10};

Error cannot(const std::string& path, std::string_view what) {
  return failed_precondition(fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

std::string text_of(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}
std::uint64_t number_of(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<std::uint64_t>() : 0;
}

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  for (std::size_t from = 0; from < text.size() && lines.size() < 2 * TrustList::kEntriesMax;) {
    const std::size_t end = std::min(text.find('\n', from), text.size());
    auto line = parse_untrusted(std::string_view(text).substr(from, end - from));
    if (line && line->is_object() && text_of(*line, "path").starts_with('/')) lines.push_back(*std::move(line));
    from = end + 1;
  }
  return lines;
}

Json json_of(const TrustedStore& store) {
  const memory::StoreIdentity& identity = store.identity;
  return {{"path", identity.path},   {"id", identity.id},           {"device", identity.device},
          {"inode", identity.inode}, {"born_us", identity.born_us}, {"since", store.since}};
}
Json json_of(const TrustedConfig& config) {
  return {{"path", config.path}, {"sha256", config.sha256}, {"since", config.since}};
}

Result<std::string> read_list(const std::string& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0 && errno == ENOENT) return std::string();
  return read_own_file(path, TrustList::kFileBytesMax);
}

// The new file in the place of the old one, durably.
template <class Entries>
Status write_list(const std::string& folder, const std::string& name, const Entries& entries) {
  std::string text;
  for (const auto& entry : entries) text += to_text(json_of(entry)) + "\n";
  const std::string path = folder + "/" + name;
  const std::string next = fmt::format("{}.new", path);
  ::unlink(next.c_str());  // Of a process that died; the lock is held.
  const int descriptor = ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return cannot(next, "make");
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(descriptor, text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    written += static_cast<std::size_t>(count);
  }
  const bool whole = written == text.size() && ::fsync(descriptor) == 0;
  const Error fault = cannot(next, "write");
  ::close(descriptor);
  if (whole && ::rename(next.c_str(), path.c_str()) == 0) return {};
  ::unlink(next.c_str());
  return fault;
}

bool is_gone(const TrustedStore& store) {
  struct stat found{};
  return ::stat(store.identity.path.c_str(), &found) != 0 || found.st_ino != store.identity.inode;
}
bool is_gone(const TrustedConfig& config) { return ::access(config.path.c_str(), F_OK) != 0; }

// Over the limit, those whose file is gone go; never the last, which is the one that is being added.
template <class Entries>
Status fit(Entries& entries, const std::string& list) {
  if (entries.size() <= TrustList::kEntriesMax) return {};
  const auto last = std::prev(entries.end());
  entries.erase(std::remove_if(entries.begin(), last, [](const auto& entry) { return is_gone(entry); }), last);
  if (entries.size() <= TrustList::kEntriesMax) return {};
  return resource_exhausted(fmt::format("{} has {} entries whose files are all there: `weft trust --revoke PATH` takes "
                                        "one out",
                                        list, TrustList::kEntriesMax))
      .with("limit", "trusted_max");
}

std::string real_path(const std::string& path) {
  std::error_code fault;
  const fs::path real = fs::weakly_canonical(path, fault);
  return fault ? path : real.string();
}

bool is_same_file(const memory::StoreIdentity& a, const memory::StoreIdentity& b) {
  return a.id == b.id && a.inode == b.inode && a.born_us == b.born_us;
}

class Lock {
 public:
  explicit Lock(int descriptor) : descriptor_(descriptor) {}
  ~Lock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  Lock(Lock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Lock& operator=(Lock&&) = delete;

 private:
  int descriptor_;
};

Result<Lock> lock(const std::string& folder) {
  const std::string path = folder + "/lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (descriptor < 0) return cannot(path, "open");
  Lock held(descriptor);
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return cannot(path, "lock");
    if (std::chrono::steady_clock::now() > until) {
      return failed_precondition(fmt::format("{} is held by another process for {} s: end that process", path,
                                             std::chrono::duration_cast<std::chrono::seconds>(kLockPatience).count()));
    }
    std::this_thread::sleep_for(kLockAgain);
  }
  return held;
}

}  // namespace

Result<TrustList> TrustList::open(const engine::Getenv& environment) {
  const std::string state = environment("XDG_STATE_HOME").value_or("");
  const std::string home = environment("HOME").value_or("");
  std::string folder;
  if (state.starts_with('/')) {
    folder = state + "/weft";
  } else if (home.starts_with('/')) {
    folder = home + "/.local/state/weft";
  } else {
    return failed_precondition(
        "the list of your stores has no place, since neither XDG_STATE_HOME nor HOME names an absolute folder");
  }
  TrustList list(std::move(folder));
  WEFT_RETURN_IF_ERROR(list.read());
  return list;
}

Status TrustList::read() {
  WEFT_TRY(const std::string stores, read_list(folder_ + "/" + kStores));
  WEFT_TRY(const std::string configurations, read_list(folder_ + "/" + kConfigurations));
  stores_.clear();
  configurations_.clear();
  for (const Json& line : lines_of(stores)) {
    TrustedStore store;
    store.identity.path = text_of(line, "path");
    store.identity.id = number_of(line, "id");
    store.identity.device = number_of(line, "device");
    store.identity.inode = number_of(line, "inode");
    store.identity.born_us = static_cast<std::int64_t>(number_of(line, "born_us"));
    store.since = text_of(line, "since");
    if (store.identity.inode != 0) stores_.push_back(std::move(store));
  }
  for (const Json& line : lines_of(configurations)) {
    TrustedConfig config{text_of(line, "path"), text_of(line, "sha256"), text_of(line, "since")};
    if (config.sha256.size() == 2 * std::tuple_size_v<Digest>) configurations_.push_back(std::move(config));
  }
  return {};
}

bool TrustList::has(const memory::StoreIdentity& store) const {
  return std::ranges::any_of(stores_, [&](const TrustedStore& entry) {
    // A device's number may change when it is mounted again, and a path when a folder is moved, but not both.
    return is_same_file(entry.identity, store) &&
           (entry.identity.path == store.path || entry.identity.device == store.device);
  });
}

std::string TrustList::copied_from(const memory::StoreIdentity& store) const {
  if (store.id == 0) return "";
  const auto found = std::ranges::find_if(stores_, [&](const auto& entry) { return entry.identity.id == store.id; });
  return found == stores_.end() ? "" : found->identity.path;
}

bool TrustList::has(const std::string& path, const std::string& sha256) const {
  return std::ranges::any_of(configurations_,
                             [&](const TrustedConfig& known) { return known.path == path && known.sha256 == sha256; });
}

Status TrustList::prepare() const {
  std::error_code fault;
  const fs::path folder(folder_);
  if (!fs::is_directory(folder, fault)) {
    // The folders above it are not only weft's, so they get what the user's umask says.
    fs::create_directories(folder.parent_path(), fault);
    if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) return cannot(folder_, "make");
  }
  WEFT_RETURN_IF_ERROR(require_own_folder(folder_));
  struct stat found{};
  if (::stat(folder_.c_str(), &found) == 0 && found.st_uid == ::geteuid()) (void)::chmod(folder_.c_str(), 0700);
  if (::access(folder_.c_str(), W_OK | X_OK) != 0) return cannot(folder_, "write");
  return {};
}

template <class Change>
Status TrustList::update(const Change& change) {
  WEFT_RETURN_IF_ERROR(prepare());
  WEFT_TRY(const Lock held, lock(folder_));
  WEFT_RETURN_IF_ERROR(read());  // What another program has put there meanwhile stays.
  return change();
}

Status TrustList::add(const memory::StoreIdentity& store) {
  return update([&]() -> Status {
    // Another file that was at this path may have been moved away with its folder: it stays.
    std::erase_if(stores_, [&](const TrustedStore& known) { return is_same_file(known.identity, store); });
    stores_.push_back({store, to_rfc3339(SystemClock().now())});
    WEFT_RETURN_IF_ERROR(fit(stores_, folder_ + "/" + kStores));
    return write_list(folder_, kStores, stores_);
  });
}

Status TrustList::add(const std::string& path, const std::string& sha256) {
  return update([&]() -> Status {
    std::erase_if(configurations_, [&](const TrustedConfig& known) { return known.path == path; });
    configurations_.push_back({path, sha256, to_rfc3339(SystemClock().now())});
    WEFT_RETURN_IF_ERROR(fit(configurations_, folder_ + "/" + kConfigurations));
    return write_list(folder_, kConfigurations, configurations_);
  });
}

Result<std::size_t> TrustList::remove(const std::string& path) {
  const std::string real = real_path(path);
  const auto is_meant = [&](const std::string& entry) {
    return entry == real || entry == path || entry.starts_with(real == "/" ? real : real + "/");
  };
  std::size_t removed = 0;
  const Status updated = update([&]() -> Status {
    const std::size_t stores = std::erase_if(stores_, [&](const auto& known) { return is_meant(known.identity.path); });
    const std::size_t configs = std::erase_if(configurations_, [&](const auto& known) { return is_meant(known.path); });
    removed = stores + configs;
    if (stores > 0) WEFT_RETURN_IF_ERROR(write_list(folder_, kStores, stores_));
    if (configs > 0) WEFT_RETURN_IF_ERROR(write_list(folder_, kConfigurations, configurations_));
    return {};
  });
  if (!updated) return updated.error();
  return removed;
}

}  // namespace weft::cli
