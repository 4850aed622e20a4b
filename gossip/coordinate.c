#include "gossip/coordinate.h"

#include <math.h>
#include <string.h>

#define ERROR_MAX      1.5f  /* serf, coordinate.DefaultConfig */
#define ERROR_MIN      0.01f /* nobody is surer, whatever it says */
#define ERROR_KNOWN    0.8f  /* from here on predictions mean something */
#define CE             0.25f
#define CC             0.25f
#define HEIGHT_MIN_MS  0.01f
#define GRAVITY_RHO_MS 150000.0f
#define ZERO_MS        1e-3f
#define SIGMAS_MAX     10.0f
#define SIGMA_MIN_MS   1.0f
#define SIGMA_SHARE    0.1f
#define SIGMA_GROWS    1.5f /* when a sample is refused: a network that changed is believed soon */
#define UNIT_PER_MS    32.0f
#define UNIT_PER_ERROR 160.0f
#define MOVED_SHARE    0.1f
#define MOVED_MIN_MS   10.0f /* half of what a first contact is given anyway (tuning.h) */

void coordinate_init(struct coordinate_space *s)
{
    *s = (struct coordinate_space){.own = {.height_ms = HEIGHT_MIN_MS, .error = ERROR_MAX}};
}

static float apart(const struct coordinate *a, const struct coordinate *b)
{
    float sum = 0;
    for (unsigned i = 0; i < COORDINATE_AXES; i++) {
        float d = a->axis[i] - b->axis[i];
        sum += d * d;
    }
    return sqrtf(sum);
}

static float raw_ms(const struct coordinate *a, const struct coordinate *b)
{
    return apart(a, b) + a->height_ms + b->height_ms;
}

static float predicted_ms(const struct coordinate_space *s, const struct coordinate *peer)
{
    float raw = raw_ms(&s->own, peer);
    float adjusted = raw + s->adjustment_ms;
    return adjusted > 0 ? adjusted : raw;
}

/* The way from `from` to us, of length one; anywhere, when we are in the same place. */
static float direction(const struct coordinate *own, const struct coordinate *from, struct rng *rng,
                       float way[COORDINATE_AXES])
{
    float length = apart(own, from), norm = length;
    for (unsigned i = 0; i < COORDINATE_AXES; i++)
        way[i] = own->axis[i] - from->axis[i];
    if (length <= ZERO_MS) {
        norm = 0;
        for (unsigned i = 0; i < COORDINATE_AXES; i++) {
            way[i] = (float)(rng_unit(rng) - 0.5);
            norm += way[i] * way[i];
        }
        norm = sqrtf(norm) + ZERO_MS;
        length = 0;
    }
    for (unsigned i = 0; i < COORDINATE_AXES; i++)
        way[i] /= norm;
    return length;
}

static void push(struct coordinate *own, const struct coordinate *from, struct rng *rng,
                 float force_ms)
{
    float way[COORDINATE_AXES];
    float length = direction(own, from, rng, way);
    for (unsigned i = 0; i < COORDINATE_AXES; i++)
        own->axis[i] += way[i] * force_ms;
    if (length <= ZERO_MS) return;
    own->height_ms += (own->height_ms + from->height_ms) * force_ms / length;
    if (own->height_ms < HEIGHT_MIN_MS) own->height_ms = HEIGHT_MIN_MS;
}

static bool is_sound(const struct coordinate *c)
{
    bool sound = isfinite(c->height_ms) && isfinite(c->error) && c->height_ms >= 0 && c->error >= 0;
    for (unsigned i = 0; i < COORDINATE_AXES; i++)
        sound = sound && isfinite(c->axis[i]);
    return sound;
}

/* False: off by far more than usual. */
static bool is_usual(struct coordinate_space *s, float off_ms)
{
    float off = fabsf(off_ms);
    float sigma = s->sigma_ms > SIGMA_MIN_MS ? s->sigma_ms : SIGMA_MIN_MS;
    if (s->samples >= COORDINATE_WINDOW && off > SIGMAS_MAX * sigma) {
        s->sigma_ms = sigma * SIGMA_GROWS;
        return false;
    }
    float square = s->sigma_ms * s->sigma_ms;
    square += (off * off - square) * (s->samples == 0 ? 1.0f : SIGMA_SHARE);
    s->sigma_ms = sqrtf(square);
    return true;
}

static void adjust(struct coordinate_space *s, float off_ms)
{
    float sum = 0;
    s->off[s->samples % COORDINATE_WINDOW] = off_ms;
    for (unsigned i = 0; i < COORDINATE_WINDOW; i++)
        sum += s->off[i];
    s->adjustment_ms = sum / (2.0f * COORDINATE_WINDOW);
}

bool coordinate_sample(struct coordinate_space *s, struct rng *rng, const struct coordinate *peer,
                       uint32_t rtt_us)
{
    static const struct coordinate origin = {.height_ms = HEIGHT_MIN_MS};
    struct coordinate_space before = *s;
    float rtt = (float)rtt_us / 1000.0f;
    if (rtt_us == 0 || rtt_us > COORDINATE_RTT_MAX_US || !is_sound(peer)) return false;
    float predicted = predicted_ms(s, peer);
    if (!is_usual(s, rtt - predicted)) return false;
    float theirs = peer->error > ERROR_MIN ? peer->error : ERROR_MIN;
    float weight = s->own.error / (s->own.error + theirs);
    float wrong = fabsf(predicted - rtt) / rtt;
    s->own.error = wrong * CE * weight + s->own.error * (1.0f - CE * weight);
    if (s->own.error > ERROR_MAX) s->own.error = ERROR_MAX;
    if (s->own.error < ERROR_MIN) s->own.error = ERROR_MIN;
    push(&s->own, peer, rng, CC * weight * (rtt - predicted));
    adjust(s, rtt - raw_ms(&s->own, peer));
    /* So that all of them together do not drift away. */
    float far = raw_ms(&origin, &s->own) / GRAVITY_RHO_MS;
    push(&s->own, &origin, rng, -far * far);
    s->samples++;
    if (is_sound(&s->own)) return true;
    *s = before;
    return false;
}

uint32_t coordinate_estimate_us(const struct coordinate_space *s, const struct coordinate *peer)
{
    if (s->own.error > ERROR_KNOWN || peer->error > ERROR_KNOWN || !is_sound(peer)) return 0;
    float us = predicted_ms(s, peer) * 1000.0f;
    if (us < 1.0f) return 1;
    return us < (float)COORDINATE_RTT_MAX_US ? (uint32_t)us : COORDINATE_RTT_MAX_US;
}

bool coordinate_moved(const struct coordinate *now, const struct coordinate *then)
{
    float far = apart(now, then) + fabsf(now->height_ms - then->height_ms);
    float size = now->height_ms;
    for (unsigned i = 0; i < COORDINATE_AXES; i++)
        size += fabsf(now->axis[i]);
    return now->error <= ERROR_KNOWN && far > MOVED_MIN_MS && far > MOVED_SHARE * size;
}

static int cut(float v, int min, int max)
{
    if (!(v > (float)min)) return min;
    return v < (float)max ? (int)lrintf(v) : max;
}

void coordinate_encode(const struct coordinate *c, uint8_t out[COORDINATE_BYTES])
{
    for (unsigned i = 0; i < COORDINATE_AXES; i++) {
        uint16_t v = (uint16_t)(int16_t)cut(c->axis[i] * UNIT_PER_MS, INT16_MIN, INT16_MAX);
        out[2 * i] = (uint8_t)(v >> 8);
        out[2 * i + 1] = (uint8_t)v;
    }
    uint16_t height = (uint16_t)cut(c->height_ms * UNIT_PER_MS, 0, UINT16_MAX);
    out[8] = (uint8_t)(height >> 8);
    out[9] = (uint8_t)height;
    out[10] = (uint8_t)cut(c->error * UNIT_PER_ERROR, 0, UINT8_MAX);
}

void coordinate_decode(const uint8_t bytes[COORDINATE_BYTES], struct coordinate *out)
{
    for (unsigned i = 0; i < COORDINATE_AXES; i++) {
        int16_t v = (int16_t)(uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
        out->axis[i] = (float)v / UNIT_PER_MS;
    }
    out->height_ms = (float)(bytes[8] << 8 | bytes[9]) / UNIT_PER_MS;
    out->error = (float)bytes[10] / UNIT_PER_ERROR;
}
