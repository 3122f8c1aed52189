// What may begin in this user's name: the one place where the command line asks whether a configuration is in force and
// whether a store is the user's own.
#pragma once

#include "base/result.h"
#include "runtime/cli/connect/place.h"
#include "runtime/cli/context.h"

namespace weft::cli {

enum class Use : std::uint8_t {
  kRead,  // Goes on with the defaults where the configuration is not in force, and says so on stderr.
  kAct,   // Starts or removes something: such a configuration stops it.
};
// find_place() for a command. PERMISSION_DENIED by kAct.
Result<Place> place_for(const Context& context, Use use);

// Before an engine begins on the place's store, or something is removed from it. PERMISSION_DENIED where the
// configuration is not in force, or where the store was found and is neither on the user's list nor empty: the sentence
// says what it holds. Also where a store that was found could not be put on the list.
Status require_trust(const Place& place, const engine::Getenv& environment);
// After the store was opened for writing: it is on the list from now on. For a store that was named a list that cannot
// be written is a warning.
Status note_trusted(const Place& place, const engine::Getenv& environment);

}  // namespace weft::cli
