#include "winnow/engine/generate.h"

#include "winnow/base/error.h"

namespace winnow::engine {

Generation generate(Session& session, std::vector<float> logits, const GenerateOptions& options,
                    const TextSink& sink) {
  WINNOW_CHECK(options.max_tokens >= 0, InvalidArgument, "engine.generate",
               "max tokens, got {}, expected >= 0", options.max_tokens);
  const Tokenizer& tokenizer = session.model().tokenizer();
  Sampler sampler(options.sampling);
  Generation out;
  Stopwatch watch;
  while (static_cast<int32_t>(out.tokens.size()) < options.max_tokens) {
    const int32_t token = sampler.pick(logits);
    if (out.tokens.empty()) out.first_token_ms = watch.lap();
    if (tokenizer.is_end(token)) {
      out.ended = true;
      break;
    }
    out.tokens.push_back(token);
    std::string piece = tokenizer.piece(token);
    if (out.text.empty()) piece.erase(0, piece.find_first_not_of(" \n"));
    out.text += piece;
    const bool go_on = !sink || piece.empty() || sink(piece);
    const bool room = session.n_ids() < session.n_ctx();
    if (!go_on || !room || static_cast<int32_t>(out.tokens.size()) == options.max_tokens) {
      session.defer(token);
      break;
    }
    watch.lap();
    logits = session.decode(token);
    out.decode_ms += watch.lap();
    ++out.n_decoded;
  }
  return out;
}

}  // namespace winnow::engine
