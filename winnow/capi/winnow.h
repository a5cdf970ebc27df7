#ifndef WINNOW_CAPI_WINNOW_H
#define WINNOW_CAPI_WINNOW_H

/* The pruning methods for engines in any language (C99): hand over what a vision-language engine has anyway
   (features, attention rows, the token grid) and get back which visual tokens stay or are merged.

     winnow_method_new -> what it needs -> winnow_signals_new, _set -> winnow_run -> winnow_plan_get, _apply

   Matrices    row-major float32, [rows, cols]. The values are not copied: they must stay where they are and
               unchanged from winnow_signals_set to the end of the last winnow_run that reads them.
   Signals     names, shapes and meaning are those of docs/signals.md (winnow/prune/signals.h).
   Errors      what can fail returns a status; winnow_last_error() then says what was wrong, with what was
               expected. NULL handles and NULL outputs are errors, not crashes. Nothing here throws, prints,
               aborts or exits. On failure outputs of _new and winnow_run are set to NULL.
   Threads     any function may run in any number of threads at once. A handle may be read by many threads at
               once (winnow_run reads method and signals); while one thread changes or frees it, no other may
               use it. The error text belongs to its thread.
   Ownership   _new and winnow_run make a handle, the _free of the same name ends it; _free(NULL) does
               nothing. Strings and arrays live as long as the handle that they were asked from, those of
               functions without a handle as long as the library. */

#include <stdint.h> /* NOLINT(modernize-deprecated-headers): this is C */

#if defined(_WIN32)
#ifdef WINNOW_CAPI_BUILD
#define WINNOW_API __declspec(dllexport)
#else
#define WINNOW_API __declspec(dllimport)
#endif
#else
#define WINNOW_API __attribute__((visibility("default")))
#endif

/* The version of this header. Before 1.0 a minor version may break programs: build and link the same one. */
#define WINNOW_VERSION_MAJOR 0
#define WINNOW_VERSION_MINOR 1
#define WINNOW_VERSION_PATCH 0
#define WINNOW_VERSION_NUMBER \
  (WINNOW_VERSION_MAJOR * 10000 + WINNOW_VERSION_MINOR * 100 + WINNOW_VERSION_PATCH)

/* n_keep of winnow_run: an adaptive method is to find the count itself. */
#define WINNOW_METHOD_DECIDES (-1)
/* Tower block: the one whose output the projector reads; the one behind it. */
#define WINNOW_FEATURE_BLOCK (-1)
#define WINNOW_NEXT_BLOCK INT32_MAX

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C has its own names. */

typedef enum winnow_status {
  WINNOW_OK = 0,
  WINNOW_INVALID_ARGUMENT = 1, /* a value, a shape or a handle that cannot be */
  WINNOW_NOT_FOUND = 2,        /* a method or a signal of this name does not exist */
  WINNOW_UNSUPPORTED = 3,      /* it could be, but the method cannot do it (see its text) */
  WINNOW_OUT_OF_MEMORY = 4,
  WINNOW_INTERNAL = 5 /* a bug of the library */
} winnow_status;

typedef struct winnow_method winnow_method;   /* one method with its parameters */
typedef struct winnow_signals winnow_signals; /* what the engine knows about one image */
typedef struct winnow_plan winnow_plan;       /* what the tokens become */

/* Version of the library: "0.1.0", and as WINNOW_VERSION_NUMBER. */
WINNOW_API const char* winnow_version(void);
WINNOW_API int32_t winnow_version_number(void);
/* "ok", "invalid_argument" ...; "unknown" for any other number. */
WINNOW_API const char* winnow_status_name(winnow_status status);
/* What was wrong in this thread's last call that failed; "" when none has. Valid until the next failure. */
WINNOW_API const char* winnow_last_error(void);

/* ---- methods ---- */

/* Number of methods, and the name of the i-th; NULL outside of 0 to count - 1. Methods that act between the
 * blocks of a tower (tome) or on the picture (resize) are not among them: they need a run of the whole model.
 */
WINNOW_API int32_t winnow_method_count(void);
WINNOW_API const char* winnow_method_name(int32_t i);

/* A method as written on the command line, "NAME[:param=value,...]". docs/methods.md lists the parameters.
   NOT_FOUND: no such method, the text lists all; INVALID_ARGUMENT: its parameters. */
WINNOW_API winnow_status winnow_method_new(const char* use, winnow_method** method);
WINNOW_API void winnow_method_free(winnow_method* method);

typedef struct winnow_method_info {
  const char* name;
  const char* use;       /* with every parameter spelled out */
  const char* summary;   /* the rule in one line */
  const char* paper;     /* authors, year, arXiv id */
  const char* stage;     /* "after_tower", "before_layer", "either" */
  const char* position;  /* what the authors do with position ids: "original", "compact", "regrid" */
  int32_t default_layer; /* K when stage is "before_layer" */
  int32_t min_layer;     /* smallest K that makes sense */
  int32_t keeps_all;     /* 1: every token stays ("none") */
  int32_t adaptive;      /* 1: winnow_run takes WINNOW_METHOD_DECIDES */
  int32_t may_drop_all;  /* 1: winnow_run takes 0 tokens to keep */
  int32_t need_count;    /* signals that it reads with these parameters */
} winnow_method_info;
WINNOW_API winnow_status winnow_method_get_info(const winnow_method* method, winnow_method_info* info);

typedef struct winnow_need {
  const char* signal; /* "cls_attention" */
  const char* shape;  /* "[heads, n]"; n: tokens of the image that are still there */
  int32_t block;      /* of tower attention and keys; winnow_resolve_block says which one it is */
} winnow_need;
/* The i-th signal that the method reads, 0 to need_count - 1. */
WINNOW_API winnow_status winnow_method_need(const winnow_method* method, int32_t i, winnow_need* need);

/* Index, from the tower's first block, of the block that a need names, in a tower whose projector reads the
   output of block n_block - 1. Below 0 or above n_block: there is no such block. */
WINNOW_API int32_t winnow_resolve_block(int32_t block, int32_t n_block);

/* The count that the parameters alone fix on an unpruned grid (pooling:window=2x2); 0 where they do not. */
WINNOW_API winnow_status winnow_method_fixed_count(const winnow_method* method, int32_t rows, int32_t cols,
                                                   int32_t* count);

/* ---- signals of one image ---- */

/* An image of rows x cols visual tokens, before any pruning; token j is in row j / cols, column j % cols. */
WINNOW_API winnow_status winnow_signals_new(int32_t rows, int32_t cols, winnow_signals** signals);
WINNOW_API void winnow_signals_free(winnow_signals* signals);

/* Gives one signal, [rows, cols] float32; a second time replaces it. block: as in the need; it does not count
   for signals outside the tower. Shapes are checked against the image when a method runs. */
WINNOW_API winnow_status winnow_signals_set(winnow_signals* signals, const char* name, int32_t block,
                                            const float* values, int64_t rows, int64_t cols);
/* For an image that was pruned before: grid index of each of the n tokens still there (copied). Signals then
   have n tokens. n = 0: all of the grid. */
WINNOW_API winnow_status winnow_signals_set_token_of(winnow_signals* signals, const int32_t* cells,
                                                     int64_t n);
/* Inside the decoder: position ids of the image's tokens and of the text behind the last image (copied), and
   the rotary embedding. Methods that correct attention for distance read them. */
WINNOW_API winnow_status winnow_signals_set_ids(winnow_signals* signals, const int32_t* ids, int64_t n);
WINNOW_API winnow_status winnow_signals_set_text_ids(winnow_signals* signals, const int32_t* ids, int64_t n);
WINNOW_API winnow_status winnow_signals_set_rope(winnow_signals* signals, int32_t d_head, float base);
/* Which image of the prompt it is, from 0 (the default): methods that draw at random do it anew for each. */
WINNOW_API winnow_status winnow_signals_set_image(winnow_signals* signals, int32_t image);

/* ---- plans ---- */

/* Runs the method on one image. n_keep: 1 to n, or what winnow_method_info allows; n keeps everything without
   asking the method. seed: for methods that draw at random. The plan is the same for every run, number of
   threads and machine. INVALID_ARGUMENT: a missing signal, a wrong shape, NaN or infinity, a count. */
WINNOW_API winnow_status winnow_run(const winnow_method* method, const winnow_signals* signals,
                                    int32_t n_keep, uint64_t seed, winnow_plan** plan);
WINNOW_API void winnow_plan_free(winnow_plan* plan);

/* Output o is the sum of weight[i] * input[index[i]] for i from offsets[o] to offsets[o + 1] - 1, and it
   takes the position of input position_of[o]. Input n_in is the tower's [CLS] token, for methods that read
   it. */
typedef struct winnow_plan_view {
  int32_t n_in;               /* tokens before */
  int32_t n_out;              /* tokens after */
  int32_t n_sources;          /* offsets[n_out] */
  int32_t is_selection;       /* 1: every output is one input of weight 1, index is the kept set */
  const int32_t* offsets;     /* [n_out + 1] */
  const int32_t* index;       /* [n_sources] */
  const float* weight;        /* [n_sources] */
  const int32_t* position_of; /* [n_out] */
  const float* scores;        /* [n_in]; NULL when the method ranks nothing */
} winnow_plan_view;
WINNOW_API winnow_status winnow_plan_get(const winnow_plan* plan, winnow_plan_view* view);

/* The output vectors: features [n_in, width] -> out [n_out, width]. cls_token [width]: the projected [CLS]
   token where the plan names it, else NULL. out must not overlap the others. */
WINNOW_API winnow_status winnow_plan_apply(const winnow_plan* plan, const float* features, int64_t n_in,
                                           int64_t width, const float* cls_token, float* out);

/* NOLINTEND(readability-identifier-naming) */

#ifdef __cplusplus
}
#endif

#endif
