// `weft doctor`: measures what durability and speed stand on, on this machine, and says what to do where something is
// amiss.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/json.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/command.h"

namespace weft::cli {
namespace {

struct DoctorValues {};

Options describe(DoctorValues&) { return {}; }

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

constexpr int kSyncs = 200;
constexpr std::chrono::seconds kSyncsMax(3);
constexpr std::size_t kSyncBytes = 4'096;
constexpr double kSyncSlowMs = 10;
// Below that no disk has written anything: what acknowledges is a cache.
constexpr double kSyncUnlikelyMs = 0.02;
constexpr std::chrono::milliseconds kClockWatch(250);
constexpr double kClockDriftMs = 20;
constexpr rlim_t kFilesWanted = 16'384;  // 11,000 streams of models, and what else is open.
constexpr rlim_t kFilesLeast = 256;
constexpr std::uint64_t kDiskWanted = std::uint64_t{1} << 30;
constexpr std::uint64_t kDiskLeast = std::uint64_t{64} << 20;

constexpr std::size_t kLockBytesMax = 64;

enum class State : std::uint8_t { kOk, kWarn, kFail };
struct Finding {
  std::string name;
  State state = State::kOk;
  std::string found;
  std::string todo;  // Empty where nothing is amiss.
};

std::string_view name_of(State state) { return state == State::kOk ? "ok" : state == State::kWarn ? "warn" : "fail"; }

// Where the store is, or would be made.
fs::path folder_of(const Place& place) {
  fs::path folder = fs::path(place.store).parent_path();
  std::error_code ignored;
  while (!fs::is_directory(folder, ignored) && folder.has_relative_path()) folder = folder.parent_path();
  return folder;
}

double percentile(std::vector<double>& values, double part) {
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

Finding look_at_sync(const fs::path& folder) {
  Finding finding{"sync", State::kOk, "", ""};
  std::string name = (folder / ".weft-doctor-XXXXXX").string();
  const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor < 0) {
    return {"sync", State::kFail, fmt::format("{} cannot be written: {}", folder.string(), std::strerror(errno)),
            "choose another store with --store, or give this user the right to write there"};
  }
  ::unlink(name.c_str());
  const std::string page(kSyncBytes, 'w');
  std::vector<double> took_ms;
  const auto until = Steady::now() + kSyncsMax;
  int error = 0;
  while (took_ms.size() < kSyncs && Steady::now() < until && error == 0) {
    const auto begun = Steady::now();
    if (::write(descriptor, page.data(), page.size()) != static_cast<ssize_t>(page.size()) ||
        ::fdatasync(descriptor) != 0) {
      error = errno;
    }
    took_ms.push_back(std::chrono::duration<double, std::milli>(Steady::now() - begun).count());
  }
  ::close(descriptor);
  if (error != 0) {
    return {"sync", State::kFail, fmt::format("{} cannot be synced: {}", folder.string(), std::strerror(error)),
            error == ENOSPC ? "free some space" : "see to the disk: what weft acknowledges must be on it"};
  }
  const std::size_t count = took_ms.size();
  const double p50 = percentile(took_ms, 0.5);
  const double p99 = percentile(took_ms, 0.99);
  finding.found =
      fmt::format("p50 {:.3f} ms, p99 {:.3f} ms for 4 KiB ({} times, {})", p50, p99, count, folder.string());
  if (p50 > kSyncSlowMs) {
    finding.state = State::kWarn;
    finding.todo = "each step of a run waits for the disk; put the store on a faster one";
  } else if (p50 < kSyncUnlikelyMs) {
    finding.state = State::kWarn;
    finding.todo = "no disk is so fast: a cache acknowledges, and a power failure may lose what was acknowledged";
  }
  return finding;
}

Finding look_at_file_system(const fs::path& folder) {
  struct Kind {
    unsigned long magic;
    const char* name;
    const char* todo;
  };
  constexpr const char* kNetwork = "SQLite's locks and shared memory do not work across machines; use a local disk";
  constexpr std::array<Kind, 9> kKinds{{{0x6969, "NFS", kNetwork},
                                        {0xFF534D42, "CIFS", kNetwork},
                                        {0xFE534D42, "SMB2", kNetwork},
                                        {0x01021997, "9P", kNetwork},
                                        {0x00C36400, "Ceph", kNetwork},
                                        {0x65735546, "FUSE", "see that what it stands for is a local disk that syncs"},
                                        {0x01021994, "tmpfs", "it is memory: a restart of the machine loses the store"},
                                        {0xEF53, "ext", nullptr},
                                        {0x58465342, "XFS", nullptr}}};
  struct statfs status = {};
  if (::statfs(folder.c_str(), &status) != 0) {
    return {"file system", State::kFail, std::strerror(errno), "choose another store with --store"};
  }
  const auto magic = static_cast<unsigned long>(static_cast<std::uint32_t>(status.f_type));
  for (const Kind& kind : kKinds) {
    if (kind.magic != magic) continue;
    if (kind.todo == nullptr) return {"file system", State::kOk, kind.name, ""};
    return {"file system", kind.todo == kNetwork ? State::kFail : State::kWarn, kind.name, kind.todo};
  }
  return {"file system", State::kOk, fmt::format("type 0x{:x}", magic), ""};
}

Finding look_at_room(const fs::path& folder) {
  struct statvfs disk = {};
  if (::statvfs(folder.c_str(), &disk) != 0) return {"room", State::kFail, std::strerror(errno), "see to the disk"};
  const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  Finding finding{"room", State::kOk, fmt::format("{} MiB free", free_bytes >> 20), ""};
  if (free_bytes < kDiskWanted) {
    finding.state = free_bytes < kDiskLeast ? State::kFail : State::kWarn;
    finding.todo = "free some space; `weft db prune` removes old runs, whose room in the file is then used again";
  }
  return finding;
}

double ms_of(clockid_t id) {
  timespec time = {};
  ::clock_gettime(id, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

Finding look_at_clock() {
  const double wall = ms_of(CLOCK_REALTIME);
  const double steady = ms_of(CLOCK_MONOTONIC);
  std::this_thread::sleep_for(kClockWatch);
  const double drift = (ms_of(CLOCK_REALTIME) - wall) - (ms_of(CLOCK_MONOTONIC) - steady);
  timespec boot = {};
  const bool has_boot = ::clock_gettime(CLOCK_BOOTTIME, &boot) == 0;
  timex state = {};
  const bool synchronised = ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
  Finding finding{
      "clock", State::kOk,
      fmt::format("wall against steady {:+.1f} ms in {} ms, {}{}", drift, kClockWatch.count(),
                  synchronised ? "synchronised" : "not synchronised", has_boot ? "" : ", no boot-time clock"),
      ""};
  if (std::abs(drift) > kClockDriftMs) {
    finding.state = State::kWarn;
    finding.todo = "the wall clock jumps: times in traces are wrong, order and timers are not; let it be slewed";
  } else if (!synchronised) {
    finding.state = State::kWarn;
    finding.todo = "run a time service (chrony, systemd-timesyncd), or times in traces and daily prices may be wrong";
  }
  return finding;
}

Finding look_at_sqlite() {
  const memory::SqliteBuild build = memory::sqlite_build();
  Finding finding{"SQLite", State::kOk, build.version, ""};
  // Not a warning: the precaution is built in. Said, since scanners and other tools on the same file may care.
  if (build.has_wal_reset_fault) {
    finding.found +=
        ", with the WAL-reset fault that 3.51.3 mends; weft is not exposed: one connection alone checkpoints";
  }
  return finding;
}

Finding look_at_open_files() {
  rlimit limit = {};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  Finding finding{"open files", State::kOk, fmt::format("at most {}", limit.rlim_cur), ""};
  if (limit.rlim_cur < kFilesWanted) {
    finding.state = limit.rlim_cur < kFilesLeast ? State::kFail : State::kWarn;
    finding.todo =
        fmt::format("each call of a model holds one: `ulimit -n {}` before weft, or LimitNOFILE={} in its unit",
                    kFilesWanted * 4, kFilesWanted * 4);
  }
  return finding;
}

// Who its lock file names, if that process lives.
std::optional<pid_t> owner_of(const std::string& store) {
  const auto text = read_file(store + ".lock", kLockBytesMax, Pipes::kRefused);
  pid_t owner = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), owner).ec != std::errc() || owner <= 0 ||
      (::kill(owner, 0) != 0 && errno == ESRCH))
    return std::nullopt;
  return owner;
}

Finding look_at_store(const Place& place, const engine::Getenv& environment) {
  if (!place.store_exists) {
    return {"store", State::kOk, fmt::format("{} is made by the first run", place.store), ""};
  }
  const auto reader = memory::open_sqlite_reader(place.store);
  if (!reader && reader.error().code != Code::kNotFound) {
    const bool is_foreign = reader.error().code == Code::kPermissionDenied;  // Its sentence says what to do.
    return {"store", State::kFail, reader.error().message,
            is_foreign ? "" : "`weft db verify` says more; a backup can take its place"};
  }
  if (engine_answers(place)) {
    const auto owner = owner_of(place.store);
    return {"store", State::kOk,
            fmt::format("{}, served by {}", place.store, owner ? fmt::format("process {}", *owner) : "an engine"), ""};
  }
  if (const Status trusted = require_trust(place, environment); !trusted) {
    return {"store", State::kWarn, trusted.error().message, ""};
  }
  struct stat status = {};
  if (::stat(place.store.c_str(), &status) == 0 && (status.st_mode & 077) != 0) {
    return {"store", State::kWarn, fmt::format("{} can be read by others", place.store),
            fmt::format("chmod 600 {}", place.store)};
  }
  return {"store", State::kOk, fmt::format("{}, no engine runs on it", place.store), ""};
}

Finding look_at_models(const Context& context, const Place& place) {
  const auto is_set = [&](const std::string& name) {
    const auto value = context.environment(name);
    return value && !value->empty();
  };
  if (!place.config.model_url.empty()) {
    return {"models", State::kOk,
            fmt::format("{} answers for every model{}", place.config.model_url,
                        place.config.simulated ? ", simulated" : ""),
            ""};
  }
  std::string set;
  std::string unset;
  for (const model::Provider& provider : place.config.catalog.providers()) {
    if (provider.key_env.empty()) continue;
    std::string& list = is_set(provider.key_env) ? set : unset;
    list += (list.empty() ? "" : ", ") + provider.key_env;
  }
  if (set.empty()) {
    return {"models", State::kWarn, "no key is set",
            fmt::format("set one of {}, or WEFT_MODEL_URL; `--sim` runs a workflow without any", unset)};
  }
  return {"models", State::kOk, fmt::format("set: {}", set), ""};
}

Exit doctor(const Context& context, const DoctorValues&) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  if (!place.server.empty()) {
    return fail(context, invalid_argument("doctor looks at the machine it runs on; it asks no server"));
  }
  const fs::path folder = folder_of(place);
  const std::vector<Finding> findings{look_at_sync(folder),
                                      look_at_file_system(folder),
                                      look_at_room(folder),
                                      look_at_clock(),
                                      look_at_sqlite(),
                                      look_at_open_files(),
                                      look_at_store(place, context.environment),
                                      look_at_models(context, place)};
  Json all = Json::array();
  for (const Finding& finding : findings) {
    if (!context.terminal.is_text()) {
      all.push_back({{"name", finding.name},
                     {"state", name_of(finding.state)},
                     {"found", finding.found},
                     {"todo", finding.todo.empty() ? Json() : Json(finding.todo)}});
      continue;
    }
    context.terminal.out_line(fmt::format("{:<5} {:<12} {}", name_of(finding.state), finding.name, finding.found));
    if (!finding.todo.empty()) context.terminal.out_line(fmt::format("{:<18} {}", "", finding.todo));
  }
  if (context.terminal.format() == Format::kJson) context.terminal.out_line(to_text(Json{{"checks", std::move(all)}}));
  if (context.terminal.format() == Format::kNdjson) {
    for (const Json& line : all) context.terminal.out_line(to_text(line));
  }
  const bool fails = std::ranges::any_of(findings, [](const Finding& f) { return f.state == State::kFail; });
  return fails ? Exit::kFailed : Exit::kOk;
}

}  // namespace

Command doctor_command() {
  return {"doctor", Group::kStore, "Measure the disk, the clock and the limits of this machine",
          [] { return bound<DoctorValues>(describe, doctor); }};
}

}  // namespace weft::cli
