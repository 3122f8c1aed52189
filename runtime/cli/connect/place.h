// Which store or server a command means, and which configuration goes with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/cli/context.h"
#include "runtime/engine/config.h"
#include "runtime/server/probe.h"

namespace weft::cli {

// A weft.yaml that nobody named: it stands in the folder of the store, or in the current one.
struct FoundConfig {
  std::string path;               // Absolute, links resolved.
  std::string sha256;             // Of what it holds, in hex.
  std::vector<std::string> keys;  // Those that need trust (runtime/engine/config_keys.h).
  bool in_force = true;           // False: it needs trust and has none, so the defaults hold in its place.
};

// By an option, a variable, or a configuration that is in force; otherwise by the rule of the nearest folder.
enum class Origin : std::uint8_t { kFound, kNamed };

// Where a command works.
struct Place {
  std::string server;  // An address that was named; then there is no store here.
  std::string token;   // For the server's port; empty: none.
  std::string store;   // Absolute path of the database.
  bool store_exists = false;
  std::string socket;  // Beside the store: where its engine listens.
  Origin store_origin = Origin::kFound;
  engine::Config config;
  std::optional<FoundConfig> found_config;
  std::string config_file;  // Absolute; empty where none was read.
};

// `--server`, `--store`, `WEFT_SERVER`, `WEFT_STORE`, else the nearest `.weft/weft.db` upward from `folder`, else a new
// one in `folder`. Reads weft.yaml: `--config`, `WEFT_CONFIG`, or the one in the folder that holds `.weft/` (with a
// named store: in `folder`). One that was found and needs trust does not hold before it is on the user's list, not even
// in part. PERMISSION_DENIED where a configuration is another user's (base/ownership.h). Creates nothing.
Result<Place> find_place(const Global& global, const engine::Getenv& environment, const std::string& folder);

// A weft.yaml at `path`, as if a command had found it there. Errors: as find_place().
Result<FoundConfig> find_config(const std::string& path, const engine::Getenv& environment);

// The same rule on both sides: `NAME.sock` beside `NAME.db`; where that path is longer than a socket's may be, a name
// made of the path's hash in `$XDG_RUNTIME_DIR` or the temporary folder.
std::string socket_beside(const std::string& store, const engine::Getenv& environment);

// What listens at the place's socket; kNone also for what is not this user's: the temporary folder is everybody's.
using server::Listener;
Listener listener_at(const Place& place);
inline bool engine_answers(const Place& place) { return listener_at(place) == Listener::kEngine; }
// UNAVAILABLE: why no engine answers on the place's store, and what starts or frees one. REQUIRES: not kEngine.
Error no_engine(const Place& place, Listener listener);

}  // namespace weft::cli
