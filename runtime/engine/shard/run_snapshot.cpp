#include "runtime/engine/shard/run_snapshot.h"

#include "base/archive.h"
#include "base/bytes.h"

namespace weft::engine {
namespace {

// Rises with every change of what a snapshot holds beside the run's own state.
constexpr std::uint32_t kSnapshotFormat = 1;
constexpr std::size_t kDigestBytes = sizeof(Digest);

}  // namespace

template <class Archive>
void keep(Archive& archive, RunSnapshot& snapshot) {
  auto& [state, summary, model, epoch, got_on_seq, may_wait, begun, later_us, agents] = snapshot;
  archive(state, summary, model, epoch, got_on_seq, may_wait, begun, later_us, agents);
}

std::string encode(const RunSnapshot& snapshot) {
  Packer packer;
  packer(kSnapshotFormat, snapshot);
  const std::string bytes = packer.take();
  return std::string(view(sha256(bytes))) + bytes;
}

Result<RunSnapshot> decode_snapshot(std::string_view bytes) {
  if (bytes.size() <= kDigestBytes || view(sha256(bytes.substr(kDigestBytes))) != bytes.substr(0, kDigestBytes))
    return data_loss("its bytes are damaged");
  Unpacker unpacker(bytes.substr(kDigestBytes));
  std::uint32_t format = 0;
  unpacker(format);
  if (format != kSnapshotFormat) return data_loss("it is of another version of weft");
  RunSnapshot snapshot;
  unpacker(snapshot);
  if (!unpacker.is_whole()) return data_loss("it cannot be read");
  return snapshot;
}

}  // namespace weft::engine
