//! Parameters: the default says what type the others must have.

use serde_json::Value;

/// Refuses a value of another type than the default's.
///
/// # Errors
/// What the parameter is and what was given.
pub(crate) fn check(name: &str, default: &Value, given: &Value) -> Result<(), String> {
    if !fits(default, given) {
        return Err(format!("parameter `{name}` is {}, not {}", shape(default), short(given)));
    }
    let (Some(item), Some(items)) = (item(default), given.as_array()) else { return Ok(()) };
    match items.iter().find(|given| !fits(item, given)) {
        Some(wrong) => Err(format!("every item of parameter `{name}` is {}, not {}", shape(item), short(wrong))),
        None => Ok(()),
    }
}

/// The value a text of the command line stands for, by the type of the default. Lists are JSON or have commas between
/// their items; an empty text is an empty list.
///
/// # Errors
/// What the parameter is and what was given.
pub(crate) fn from_text(name: &str, default: &Value, text: &str) -> Result<Value, String> {
    let wrong = || format!("parameter `{name}` is {}, not `{text}`", shape(default));
    let value = match default {
        Value::Array(_) if text.trim().is_empty() => Value::Array(Vec::new()),
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            let common = item(default).unwrap_or(&Value::Null);
            let items = text.split(',').map(|part| plain(common, part.trim()).ok_or_else(wrong));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        _ => plain(default, text).ok_or_else(wrong)?,
    };
    check(name, default, &value)?;
    Ok(value)
}

/// A text as a value like this one. A list without items does not say what its items are: they are texts.
fn plain(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::String(_) | Value::Null => Some(Value::from(text)),
        Value::Number(_) if is_whole(like) => text.parse::<i64>().ok().map(Value::from),
        Value::Number(_) => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from),
        Value::Bool(_) => text.parse::<bool>().ok().map(Value::from),
        Value::Array(_) | Value::Object(_) => serde_json::from_str(text).ok(),
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn fits(default: &Value, given: &Value) -> bool {
    match default {
        Value::Null => true,
        Value::Bool(_) => given.is_boolean(),
        Value::Number(_) => given.is_number() && (is_whole(given) || !is_whole(default)),
        Value::String(_) => given.is_string(),
        Value::Array(_) => given.is_array(),
        Value::Object(_) => given.is_object(),
    }
}

/// An example of the list's items, when they are all of one type.
fn item(list: &Value) -> Option<&Value> {
    let items = list.as_array()?;
    // A list of 1 and 2.5 is one of numbers, and 2.5 is the one that says so.
    items.iter().find(|first| items.iter().all(|other| fits(first, other)))
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) if is_whole(value) => "a whole number",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => shape(value).to_owned(),
        Value::String(text) => format!("the text `{text}`"),
        _ => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn text(default: Value, text: &str, want: Result<Value, &str>) {
        assert_eq!(from_text("p", &default, text), want.map_err(str::to_owned));
    }

    #[test]
    fn a_text_is_read_as_the_default_says() {
        text(json!("x"), "7", Ok(json!("7")));
        text(json!(1), "7", Ok(json!(7)));
        text(json!(1.5), "7", Ok(json!(7.0)));
        text(json!(true), "false", Ok(json!(false)));
        text(json!(["a"]), "b, c", Ok(json!(["b", "c"])));
        text(json!(["a"]), "[\"b,c\"]", Ok(json!(["b,c"])));
        text(json!([1]), "2,3", Ok(json!([2, 3])));
        text(json!([1, 2.5]), "3,4.5", Ok(json!([3.0, 4.5])));
        text(json!(["a"]), "", Ok(json!([])));
        text(json!([]), "b", Ok(json!(["b"])));
        text(json!({"a": 1}), "{\"b\": 2}", Ok(json!({"b": 2})));
    }

    #[test]
    fn a_text_of_another_type_is_refused() {
        text(json!(1), "seven", Err("parameter `p` is a whole number, not `seven`"));
        text(json!(1), "7.5", Err("parameter `p` is a whole number, not `7.5`"));
        text(json!(1.5), "inf", Err("parameter `p` is a number, not `inf`"));
        text(json!(true), "yes", Err("parameter `p` is true or false, not `yes`"));
        text(json!([1]), "2,x", Err("parameter `p` is a list, not `2,x`"));
        text(json!(["a"]), "[1]", Err("every item of parameter `p` is a text, not `1`"));
        text(json!({"a": 1}), "[1]", Err("parameter `p` is a table, not a list"));
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let told = |default: Value, given: Value| check("p", &default, &given).unwrap_err();
        assert_eq!(told(json!(1), json!("7")), "parameter `p` is a whole number, not the text `7`");
        assert_eq!(told(json!(1), json!(7.5)), "parameter `p` is a whole number, not `7.5`");
        assert_eq!(told(json!(["a"]), json!("b")), "parameter `p` is a list, not the text `b`");
        assert_eq!(told(json!("a"), json!(["b"])), "parameter `p` is a text, not a list");
        assert!(check("p", &json!(1.5), &json!(7)).is_ok());
        assert!(check("p", &json!([1, "a"]), &json!([true])).is_ok());
    }
}
