/* Which visual tokens stay, from an engine's own arrays, through the C API (winnow/capi/winnow.h).
   An image of 3 x 4 tokens, attention of the tower's [CLS] token in 2 heads: FasterVLM keeps the 4 tokens
   with the most of it. Then pooling makes 4 tokens of the features, which need no signals but the grid. */

#include <stdio.h>

#include "winnow/capi/winnow.h"

#define ROWS 3
#define COLS 4
#define N (ROWS * COLS)
#define HEADS 2
#define WIDTH 5
#define KEEP 4

/* Prints the library's message of a call that failed. */
static int failed(const char* what) {
  fprintf(stderr, "%s: %s\n", what, winnow_last_error());
  return 1;
}

/* Lists the signals that a method asks the engine for. */
static int print_needs(const winnow_method* method) {
  winnow_method_info info;
  winnow_need need;
  int32_t i;
  if (winnow_method_get_info(method, &info) != WINNOW_OK) return failed("info");
  printf("%s (%s): %s\n", info.name, info.paper, info.summary);
  for (i = 0; i < info.need_count; ++i) {
    if (winnow_method_need(method, i, &need) != WINNOW_OK) return failed("need");
    printf("  needs %s %s\n", need.signal, need.shape);
  }
  return 0;
}

/* Runs one method; prints which tokens stay and the first number of each output vector. */
static int run(const char* use, const winnow_signals* signals, const float* features) {
  winnow_method* method = NULL;
  winnow_plan* plan = NULL;
  winnow_plan_view view;
  float out[KEEP * WIDTH];
  int status = 1;
  int32_t o;
  if (winnow_method_new(use, &method) != WINNOW_OK) return failed(use);
  if (print_needs(method) != 0) goto end;
  if (winnow_run(method, signals, KEEP, 0, &plan) != WINNOW_OK || winnow_plan_get(plan, &view) != WINNOW_OK ||
      winnow_plan_apply(plan, features, N, WIDTH, NULL, out) != WINNOW_OK) {
    failed(use);
    goto end;
  }
  printf("%s keeps %d of %d tokens:", use, (int)view.n_out, (int)view.n_in);
  for (o = 0; o < view.n_out; ++o) printf(" %d", (int)view.position_of[o]);
  printf("\n  their first features:");
  for (o = 0; o < view.n_out; ++o) printf(" %g", (double)out[o * WIDTH]);
  printf("\n");
  status = 0;
end:
  winnow_plan_free(plan);
  winnow_method_free(method);
  return status;
}

int main(void) {
  static const float attention[HEADS * N] = {
      0.01f, 0.20f, 0.02f, 0.01f, 0.03f, 0.10f, 0.20f, 0.02f, 0.02f, 0.01f, 0.10f, 0.03f, /* head 0 */
      0.02f, 0.05f, 0.01f, 0.02f, 0.02f, 0.30f, 0.10f, 0.01f, 0.01f, 0.02f, 0.15f, 0.02f, /* head 1 */
  };
  float features[N * WIDTH];
  winnow_signals* signals = NULL;
  int status = 1;
  int i;
  for (i = 0; i < N * WIDTH; ++i) features[i] = (float)(i / WIDTH);
  if (winnow_signals_new(ROWS, COLS, &signals) != WINNOW_OK) return failed("signals");
  if (winnow_signals_set(signals, "cls_attention", WINNOW_FEATURE_BLOCK, attention, HEADS, N) != WINNOW_OK) {
    failed("cls_attention");
  } else {
    status = run("fastervlm", signals, features) + run("pooling", signals, features);
  }
  winnow_signals_free(signals);
  return status;
}
