/* What the object rules of tidy must find: see tests/tidy/selftest.c. */
extern int globals_counter;
extern const char *const globals_words[2];
int globals_next(void);
int stray_name(void);

int globals_counter = 4;
const char *const globals_words[2] = {"fine", "too"};
static int hidden_state;

int globals_next(void)
{
    static int calls = 1;
    return ++hidden_state + ++calls + globals_counter;
}

int stray_name(void)
{
    return 0;
}
