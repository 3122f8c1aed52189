// Every key of weft.yaml, and what it takes for one to hold.
//
// A weft.yaml that a command finds in a folder may have come with that folder: with a clone, an archive, from a
// colleague. So a found file that sets anything which runs, sends, reaches or deletes something holds only when the
// user has said so (`weft trust`); the limits may be lowered by it without that.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/engine/config.h"

namespace weft::engine {

enum class Trust : std::uint8_t {
  kNeeded,     // Also of a key that stands in no row.
  kLowerOnly,  // Not needed where the value is at most what holds without the file.
};

struct ConfigKey {
  std::string_view path;  // From the root, with `*` where the file chooses the name: "providers.*.base_url".
  Trust trust = Trust::kNeeded;
  // kLowerOnly: whether `read` allows more than `otherwise`, which holds without the file.
  bool (*raises)(const Config& read, const Config& otherwise) = nullptr;
};

// In the order of docs/configuration.md. read_config() asks for no key that is not among them.
std::span<const ConfigKey> config_keys();
// The row of a key; null where there is none. `path` as in the table, or with the names that a file chose.
const ConfigKey* find_config_key(std::string_view path);

// The keys of a weft.yaml that need trust, as they stand in it and in its order; `read` is what read_config() made of
// the same text. Empty: it may hold without.
std::vector<std::string> keys_that_need_trust(std::string_view yaml, const Config& read);

}  // namespace weft::engine
