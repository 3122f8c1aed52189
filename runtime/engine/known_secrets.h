// The secrets that this engine may send, and their mask in what comes back.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/secret_mask.h"
#include "runtime/engine/config.h"

namespace weft::engine {

// Thread-safe.
class KnownSecrets {
 public:
  KnownSecrets(const Config& config, Getenv environment);

  // Of the values that stand in the environment now: those of `policy.secrets` and the keys of all providers, whether
  // this run may use them or not. Never null. Made anew only where a value has changed.
  std::shared_ptr<const SecretMask> mask() const;
  // A sentence for each that is set and cannot be masked.
  std::vector<std::string> complaints() const;

 private:
  std::vector<Secret> values() const;

  std::vector<std::string> names_;  // Of environment variables.
  const std::string model_key_;     // WEFT_MODEL_KEY as it was at the start.
  const Getenv environment_;
  mutable std::mutex mutex_;
  mutable std::vector<Secret> known_;  // Guarded by mutex_, as below: the values of the mask.
  mutable std::shared_ptr<const SecretMask> mask_;
};

}  // namespace weft::engine
