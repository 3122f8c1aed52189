#include "runtime/cli/connect/place.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/bytes.h"
#include "runtime/cli/connect/token.h"
#include "runtime/cli/connect/trust_list.h"
#include "runtime/cli/files.h"
#include "runtime/engine/config_keys.h"
#include "runtime/server/address.h"
#include "runtime/server/tokens.h"

namespace weft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = ".weft";
constexpr std::string_view kStoreName = "weft.db";
constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20;

std::string named(const engine::Getenv& environment, const std::string& flag, const std::string& variable) {
  return flag.empty() ? environment(variable).value_or("") : flag;
}

// The nearest folder upward that holds a store.
std::optional<fs::path> folder_with_store(const fs::path& from) {
  std::error_code fault;
  for (fs::path folder = from; !folder.empty(); folder = folder.parent_path()) {
    if (fs::exists(folder / kFolder / kStoreName, fault)) return folder;
    if (folder == folder.parent_path()) break;
  }
  return std::nullopt;
}

std::string absolute(const std::string& path, const fs::path& folder) {
  std::error_code fault;
  fs::path whole = fs::weakly_canonical(folder / path, fault);
  if (fault) whole = (folder / path).lexically_normal();
  if (fs::is_directory(whole, fault)) whole /= kStoreName;
  return whole.string();
}

// A host may have any name, so only its form is looked at.
Status check_server(const std::string& address) {
  if (address.starts_with("unix:") && address.size() > 5) return {};
  const std::size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  const bool digits = std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
  if (colon != 0 && !port.empty() && port.size() <= 5 && digits && std::stoi(port) <= 65535) return {};
  return invalid_argument(fmt::format("\"{}\" is no server's address: unix:PATH or HOST:PORT", address));
}

Error invalid_configuration(const std::string& path, workflows::Diagnostics& diagnostics) {
  Error error = invalid_argument(path + " is no valid configuration");
  for (const auto& diagnostic : diagnostics.take()) {
    error.message += "\n  " + workflows::to_text(diagnostic);
    error.details.push_back(
        {fmt::format("{}:{}:{}", diagnostic.file, diagnostic.mark.line, diagnostic.mark.column), diagnostic.message});
  }
  return error;
}

bool is_trusted(const FoundConfig& found, const engine::Getenv& environment) {
  const auto list = TrustList::open(environment);
  return list && list->has(found.path, found.sha256);
}

Status read_configuration(const std::string& path, Origin origin, const engine::Getenv& environment, Place& place) {
  WEFT_TRY(const std::string text, read_own_file(path, kConfigBytesMax));
  workflows::Diagnostics diagnostics(path);
  auto config = engine::read_config(text, diagnostics);
  if (!config) return invalid_configuration(path, diagnostics);
  if (origin == Origin::kFound) {
    FoundConfig found;
    std::error_code fault;
    found.path = fs::canonical(path, fault).string();
    found.sha256 = to_hex(view(sha256(text)));
    found.keys = engine::keys_that_need_trust(text, *config);
    found.in_force = found.keys.empty() || is_trusted(found, environment);
    if (!found.in_force) config = engine::Config();
    place.found_config = std::move(found);
  }
  place.config = *std::move(config);
  return {};
}

}  // namespace

std::string socket_beside(const std::string& store, const engine::Getenv& environment) {
  std::string beside = fs::path(store).replace_extension(".sock").string();
  if (beside.size() <= server::kUnixPathMax) return beside;
  const Digest digest = sha256(store);
  const std::string name = fmt::format("weft-{}.sock", to_hex(view(digest)).substr(0, 16));
  const auto runtime = environment("XDG_RUNTIME_DIR");
  std::error_code fault;
  const fs::path folder = runtime && !runtime->empty() ? fs::path(*runtime) : fs::temp_directory_path(fault);
  return (folder / name).string();
}

Result<FoundConfig> find_config(const std::string& path, const engine::Getenv& environment) {
  Place place;
  WEFT_RETURN_IF_ERROR(read_configuration(path, Origin::kFound, environment, place));
  return *std::move(place.found_config);
}

Result<Place> find_place(const Global& global, const engine::Getenv& environment, const std::string& folder) {
  Place place;
  std::string store = global.store;
  if (global.server.empty() && store.empty()) {
    place.server = environment("WEFT_SERVER").value_or("");
    if (place.server.empty()) store = environment("WEFT_STORE").value_or("");
  } else {
    place.server = global.server;
  }
  if (!place.server.empty()) WEFT_RETURN_IF_ERROR(check_server(place.server));
  const auto holder = store.empty() ? folder_with_store(folder) : std::nullopt;

  std::string config = named(environment, global.config, "WEFT_CONFIG");
  const Origin config_origin = config.empty() ? Origin::kFound : Origin::kNamed;
  if (config.empty()) {
    config = (holder.value_or(fs::path(folder)) / "weft.yaml").string();
    std::error_code fault;
    if (!fs::exists(config, fault)) config.clear();
  }
  if (!config.empty()) {
    config = (fs::path(folder) / config).string();
    place.config_file = config;
    WEFT_RETURN_IF_ERROR(read_configuration(config, config_origin, environment, place));
  }
  engine::apply_environment(place.config, environment);
  if (!place.server.empty()) {
    const std::string near = !global.store.empty() ? absolute(global.store, folder)
                             : holder              ? (*holder / kFolder / kStoreName).string()
                                                   : "";
    WEFT_TRY(place.token,
             token_for(place.server, global, environment, near.empty() ? "" : server::token_files(near).own));
    return place;
  }

  if (!store.empty()) {
    place.store = absolute(store, folder);
  } else if (!place.config.store.empty()) {
    place.store = absolute(place.config.store, fs::path(config).parent_path());
  } else {
    place.store = (holder.value_or(fs::path(folder)) / kFolder / kStoreName).string();
  }
  // A file that is not in force says nothing here.
  if (!store.empty() || !place.config.store.empty()) place.store_origin = Origin::kNamed;
  std::error_code fault;
  // What may not be looked at is there, for whoever opens it to say so.
  place.store_exists = fs::exists(place.store, fault) || fault == std::errc::permission_denied;
  place.socket = socket_beside(place.store, environment);
  return place;
}

Listener listener_at(const Place& place) {
  struct stat found{};
  // The temporary folder is everybody's: a socket that is not this user's is not this store's engine.
  if (::lstat(place.socket.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode) || found.st_uid != ::geteuid())
    return Listener::kNone;
  return server::probe_socket(place.socket);
}

Error no_engine(const Place& place, Listener listener) {
  if (listener == Listener::kSilent) {
    return unavailable(
        fmt::format("what listens on {} did not answer within {} s: let its process go on or end it, or remove the "
                    "socket where it is no weft",
                    place.socket, server::kProbePatience.count()));
  }
  return unavailable(fmt::format("no engine runs on {}; `weft serve` starts one", place.store));
}

}  // namespace weft::cli
