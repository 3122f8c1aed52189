// Known secrets in what a provider says: its answers and errors may repeat the key that was sent, or what a prompt
// held.
#pragma once

#include <memory>
#include <string_view>

#include "base/secret_mask.h"
#include "runtime/model/client.h"

namespace weft::model {

// Masks every text of an outcome. Arguments of tool calls stay one JSON object, and keep their bytes where there is no
// secret in them.
void mask(Outcome& outcome, const SecretMask& secrets);

// Progress with secrets masked, also those that come in two pieces. One call's.
class MaskedProgress {
 public:
  // `secrets` may be null: then nothing is masked.
  MaskedProgress(OnProgress on_progress, const std::shared_ptr<const SecretMask>& secrets)
      : on_progress_(std::move(on_progress)), text_(secrets), reasoning_(secrets) {}

  void operator()(Stream stream, std::string_view piece);
  // What was held back, once the answer is whole. What breaks off is not shown to its last byte.
  void finish();

 private:
  OnProgress on_progress_;
  SecretMask::Stream text_;
  SecretMask::Stream reasoning_;
};

}  // namespace weft::model
